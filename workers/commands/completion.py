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
# Click's scripts for these two run a `manage.py` that is on PATH, which ours is not.
_ZSH = """\
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }
_manage_py() {
    local script=${(Q)~words[1]} type value help ret=1
    local -a lines described plain
    [[ -f $script ]] || return 1
    lines=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT - 1)) \\
        _MANAGE_PY_COMPLETE=zsh_complete python3 "$script" 2>/dev/null)}")
    for type value help in "${lines[@]}"; do
        case $type in
            dir) _path_files -/ && ret=0 ;;
            file) _path_files -f && ret=0 ;;
            plain) [[ $help == _ ]] && plain+=("$value") || described+=("$value:$help") ;;
        esac
    done
    (( $#described )) && _describe -V manage.py described -U && ret=0
    (( $#plain )) && compadd -U -V manage.py -a plain && ret=0
    return ret
}
_manage_py_through_python() {
    if [[ ${words[2]} != (|*/)manage.py ]] || (( CURRENT < 3 )); then
        _python
        return
    fi
    shift words
    (( CURRENT-- ))
    _manage_py
}
compdef _manage_py manage.py
compdef _manage_py_through_python python3
"""
_FISH = """\
function __manage_py_script
    # Which word is the script: the first, or the one after python3.
    set -l words (commandline -opc)
    for place in 1 2
        if string match -qr '(^|/)manage\\.py$' -- "$words[$place]"
            and test $place = 1 -o "$words[1]" = python3
            echo $place
            return 0
        end
    end
    return 1
end
function __manage_py_complete
    set -l place (__manage_py_script)
    set -l words (commandline -opc)
    set words $words[$place..-1]
    set -l script (string replace -r '^~' $HOME -- $words[1])
    set -l told (env COMP_WORDS="$words "(commandline -ct) COMP_CWORD=(commandline -ct) \\
        _MANAGE_PY_COMPLETE=fish_complete python3 $script 2>/dev/null)
    for line in $told
        set -l parts (string split -m 1 , -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo $parts[2]
        end
    end
end
complete -f -c manage.py -a '(__manage_py_complete)'
complete -f -c python3 -n __manage_py_script -a '(__manage_py_complete)'
"""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell; its start-up file evaluates it.

    It completes `python3 manage.py …` and `./manage.py …`. For bash and zsh:
    `eval "$(python3 manage.py completion bash)"`. For fish:
    `python3 manage.py completion fish | source`.
    """
    click.echo(_bash() if shell == "bash" else {"zsh": _ZSH, "fish": _FISH}[shell])


def _bash() -> str:
    kind = get_completion_class("bash")
    assert kind is not None, "click knows this shell"
    # Not `source()`: it asks the machine's bash for its version.
    script = kind(_root(), {}, "manage.py", _VARIABLE)
    return script.source_template % script.source_vars() + _BASH_THROUGH_PYTHON


def _root() -> click.Command:
    from workers.commands.command_line import command_line  # noqa: PLC0415 - it finds this module.

    return command_line
