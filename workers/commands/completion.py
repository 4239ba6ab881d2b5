"""`completion`: prints what a shell needs to complete the commands and options of `manage.py`."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_MANAGE_PY_COMPLETE"
# Click's own script serves `./manage.py`; this adds the form that the documents use. Every other
# use of python3 goes on to whatever completed it before, else to the names of files.
_BASH_THROUGH_PYTHON = """
_manage_py_before=$(complete -p python3 2>/dev/null | sed -n 's/.*-F \\([^ ]*\\) .*/\\1/p')
_manage_py_through_python() {
    if [[ ${COMP_WORDS[1]} == manage.py || ${COMP_WORDS[1]} == */manage.py ]] &&
        (( COMP_CWORD > 1 )); then
        local python=${COMP_WORDS[0]} script=${COMP_WORDS[1]} type value
        local words=("${COMP_WORDS[@]:1}")
        COMPREPLY=()
        while IFS=, read -r type value; do
            case $type in
                dir) compopt -o dirnames ;;
                file) compopt -o default ;;
                plain) COMPREPLY+=("$value") ;;
            esac
        done < <(env COMP_WORDS="${words[*]}" COMP_CWORD=$((COMP_CWORD - 1)) \\
            _MANAGE_PY_COMPLETE=bash_complete "$python" "$script")
    elif [[ -n $_manage_py_before && $_manage_py_before != _manage_py_through_python ]]; then
        "$_manage_py_before" "$@"
    fi
}
complete -o default -F _manage_py_through_python python3
"""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell; its start-up file evaluates it.

    For bash: `eval "$(python3 manage.py completion bash)"`. It completes `python3 manage.py …`
    and `./manage.py …`; in zsh and fish the latter.
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows each of these shells"
    # Not `source()`: for bash it asks the machine's bash for its version.
    script = kind(_root(), {}, "manage.py", _VARIABLE)
    click.echo(script.source_template % script.source_vars())
    if shell == "bash":
        click.echo(_BASH_THROUGH_PYTHON)


def _root() -> click.Command:
    from workers.commands.command_line import command_line  # noqa: PLC0415 - it finds this module.

    return command_line
