"""The table of commands, and the group that runs them.

A command's module is imported when it is asked for, never before: the help costs nothing, and the
production image, which has no `dev`, still offers everything else.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

# name → (where it is, what it does)
COMMANDS = {
    "up": "dev.up.up:up",
    "test": "dev.checks.checks:test",
    "fmt": "dev.checks.quick:fmt",
    "lint": "dev.checks.quick:lint",
    "types": "dev.checks.quick:types",
    "test_fast": "dev.checks.quick:test_fast",
    "bench": "bench.command:bench",
    "simulate": "sandbox.simulate.command:simulate",
    "offline_stripe": "sandbox.stripe.command:offline_stripe",
    "load_plans": "workers.commands.catalogue:load_plans",
    "sync_stripe_products": "workers.commands.sync_stripe_products:sync_stripe_products",
    "check_subscription_status": (
        "workers.commands.check_subscription_status:check_subscription_status"
    ),
    "events": "workers.commands.events:events",
    "explain": "workers.commands.explain:explain",
    "audit": "workers.commands.audit:audit",
    "replay": "workers.commands.replay:replay",
    "rebuild": "workers.commands.rebuild:rebuild",
    "adjust": "workers.commands.by_hand:adjust",
    "assign": "workers.commands.by_hand:assign",
    "reconcile": "workers.commands.reconcile:reconcile",
    "doctor": "workers.commands.doctor:doctor",
    "issue_token": "workers.commands.tokens:issue_token",
    "worker": "workers.commands.processes:worker",
    "beat": "workers.commands.processes:beat",
    "drain_inbox": "workers.commands.processes:drain_inbox",
    "web": "ingest.server:web",
    "migrate": "workers.commands.processes:migrate",
}
SUMMARIES = {
    "up": "Run everything on this machine: PostgreSQL, Redis, receiver, workers, scheduler.",
    "test": "Check style, types and import rules, then run the tests (or only: pytest args).",
    "fmt": "Sort imports and format every file.",
    "lint": "Check style, format and import rules.",
    "types": "Check types.",
    "test_fast": "Run the tests that need no engine.",
    "bench": "Measure how fast everything is, beside the usual ways to build it.",
    "simulate": "Send a realistic, signed stream of events and check what came of it.",
    "offline_stripe": "Play Stripe on this machine (`up` does it where no key is set).",
    "load_plans": "Load a catalogue file; prints what changes.",
    "sync_stripe_products": "Make Stripe's products and prices what the catalogue says.",
    "check_subscription_status": "Compare subscriptions with Stripe's, and repair ours.",
    "events": "List the inbox; `events show ID` shows one event.",
    "explain": "Tell a user's story: what happened, and why the balance is what it is.",
    "audit": "Recompute everything from the stored events and compare it with the tables.",
    "replay": "Run stored events again, safely.",
    "rebuild": "Derive everything anew from the stored events, and post what the ledger lacks.",
    "adjust": "Correct a user's balance by hand, with who and why.",
    "assign": "Give a payment its user or its plan by hand.",
    "reconcile": "Fetch from Stripe what never arrived.",
    "doctor": "Check everything the installation stands on; each finding with its cure.",
    "issue_token": "Print a JWT for development.",
    "worker": "Run one worker process.",
    "beat": "Run the scheduler.",
    "drain_inbox": "Apply what waits in the inbox while Redis is away (workers do it themselves).",
    "web": "Run the receiver and the API.",
    "migrate": "Bring the database to the newest schema.",
}

# What stays sets up its own logs.
_STAYING = "workers.commands.processes:"


class Table(click.Group):
    """The commands of `COMMANDS`, in their order, each imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the table's order."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command, with the shared option; None where there is no such name."""
        del ctx
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        command = _imported(place)
        _share_data_option(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The contents page; nothing is imported for it."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in COMMANDS])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process.

    What a person can mend (settings, a server that does not answer) is told in lines, not traces.
    """
    from settings import ask_loopback_directly  # noqa: PLC0415 - may be missing its packages.

    ask_loopback_directly()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _set_up_logs(words)
        table(args=words, prog_name="manage.py")
    except Exception as error:
        told = _told(error)
        click.echo(_trace(error) if told is None else f"manage.py: {told}", err=True)
        raise SystemExit(1) from error


@click.group(cls=Table, context_settings={"help_option_names": ["-h", "--help"]})
def table() -> None:
    """Stripe webhooks in, right subscriptions and token balances out."""


def _set_up_logs(words: Sequence[str]) -> None:
    """Have warnings of a command told like those of any process, on stderr.

    Who only asks for help does not wait for this.
    """
    name = next((word for word in words if not word.startswith("-")), "")
    place = str(COMMANDS.get(name))
    ends = place.startswith("workers.commands.") and not place.startswith(_STAYING)
    if ends and not {"--help", "-h"} & set(words):
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


def _told(error: Exception) -> str | None:
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
    """A bug, for whoever mends it: lines of code, and no value of anybody's."""
    from telemetry import blotted  # noqa: PLC0415 - as above.
    from telling import rendered  # noqa: PLC0415 - as above.

    return blotted(rendered(error))


def _first_line(error: object) -> str:
    return str(error).strip().split("\n", 1)[0]


__all__ = ["COMMANDS", "catalogue", "main", "tokens"]
