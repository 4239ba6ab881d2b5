"""The command line: the group that finds a command in the table, imports it and runs it."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from workers.commands import COMMANDS
from workers.commands.groups import Suggesting

# A process of the product sets up its own logs.
_PROCESSES = "workers.commands.processes:"


class CommandTable(Suggesting):
    """The commands of `COMMANDS`, in their order, each imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the table's order."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command, with the shared option; None where there is no such name."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = _imported(entry.place)
        _share_data_option(command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names from the table; no command is imported to tell them."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=entry.summary)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The contents page; nothing is imported for it."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process.

    What a person can mend (settings, a server that does not answer) is shown without a trace.
    """
    from settings import ask_loopback_directly  # noqa: PLC0415 - may be missing its packages.

    ask_loopback_directly()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _set_up_logs(words)
        # None leaves it to click: colours on a terminal only.
        command_line(
            args=words, prog_name="manage.py", color=False if os.environ.get("NO_COLOR") else None
        )
    except Exception as error:
        advice = _advice(error)
        click.echo(_trace(error) if advice is None else f"manage.py: {advice}", err=True)
        raise SystemExit(1) from error


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
def command_line() -> None:
    """Stripe webhooks in, right subscriptions and token balances out."""


def _set_up_logs(words: Sequence[str]) -> None:
    """Log the warnings of an operator's command to stderr, in the form of every process.

    The help does not wait for this.
    """
    name = next((word for word in words if not word.startswith("-")), "")
    place = COMMANDS[name].place if name in COMMANDS else ""
    is_for_operators = place.startswith("workers.commands.") and not place.startswith(_PROCESSES)
    if is_for_operators and not {"--help", "-h"} & set(words):
        import telemetry  # noqa: PLC0415 - slow, and only needed here.

        telemetry.configure("console", name, level="warning")


def _imported(place: str) -> click.Command:
    module_name, attribute = place.split(":")
    try:
        command: click.Command = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if not (module_name.startswith(("dev.", "sandbox.", "bench.")) and error.name):
            raise
        raise click.ClickException(
            f"this command needs the development part, and {error.name} is not installed; "
            "use the whole project with locks/test.txt"
        ) from error
    return command


def _share_data_option(command: click.Command) -> None:
    if not any(parameter.name == "data" for parameter in command.params):
        command.params.append(
            click.Option(
                ["--data"],
                metavar="DIR",
                help="Where `up` keeps its data and dev.env  [default: .data]",
                expose_value=False,
                is_eager=True,
                callback=_use_data_directory,
            )
        )
    if isinstance(command, click.Group):
        for subcommand in command.commands.values():
            _share_data_option(subcommand)


def _use_data_directory(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401 - click's type for any option.
    del ctx, parameter
    if value is not None:
        os.environ["BILLING_DATA"] = value


def _advice(error: Exception) -> str | None:
    """The lines a person needs for an error they can mend; None for a bug."""
    from redis.exceptions import ConnectionError as RedisDown  # noqa: PLC0415 - slow; failing only.
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415 - as above.

    from settings import SettingsError  # noqa: PLC0415 - as above.

    if isinstance(error, SettingsError):
        return str(error)
    if isinstance(error, OperationalError):
        return f"PostgreSQL does not answer: {_first_line(error.orig)}; is `up` running?"
    if isinstance(error, RedisDown):
        return f"Redis does not answer: {_first_line(error)}; is `up` running?"
    return None


def _trace(error: Exception) -> str:
    """A bug as a trace of lines of code, without the values in its messages."""
    from telemetry import blotted  # noqa: PLC0415 - as above.
    from telling import with_trace  # noqa: PLC0415 - as above.

    return blotted(with_trace(error))


def _first_line(error: object) -> str:
    return str(error).strip().split("\n", 1)[0]
