"""The table of commands: where each one is, what it does, and which lock its packages are in.

Standard library only: `manage.py` reads the table before there is an environment. The module of a
command is imported when that command runs. So the help imports none, and the production image,
which has no `dev`, still offers everything else.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """One command: `place` is `module:attribute`, `lock` the smallest lock with its packages."""

    place: str
    summary: str
    lock: str = "production"


# In the order of the help.
COMMANDS = {
    "up": Command(
        "dev.up.up:up",
        "Run everything on this machine: PostgreSQL, Redis, receiver, workers, scheduler.",
        lock="up",
    ),
    "test": Command(
        "dev.checks.checks:test",
        "Check style, types and import rules, then run the tests, or only those of the arguments.",
        lock="test",
    ),
    "fmt": Command(
        "dev.checks.quick:fmt",
        "Sort imports and format every file.",
        lock="test",
    ),
    "lint": Command(
        "dev.checks.quick:lint",
        "Check style, format and import rules.",
        lock="test",
    ),
    "types": Command(
        "dev.checks.quick:types",
        "Check types.",
        lock="test",
    ),
    "test_fast": Command(
        "dev.checks.quick:test_fast",
        "Run the tests that need no engine.",
        lock="test",
    ),
    "bench": Command(
        "bench.command:bench",
        "Measure how fast everything is, beside the usual ways to build it.",
        lock="test",
    ),
    "simulate": Command(
        "sandbox.simulate.command:simulate",
        "Send a realistic, signed stream of events and check what came of it.",
    ),
    "sandbox": Command(
        "sandbox.stripe.command:sandbox",
        "Run the offline Stripe alone, for any client of Stripe.",
    ),
    "offline_stripe": Command(
        "sandbox.stripe.command:offline_stripe",
        "Run the offline Stripe; `up` does it where no key is set.",
    ),
    "load_plans": Command(
        "workers.commands.catalogue:load_plans",
        "Load a catalogue file and print what changes.",
    ),
    "sync_stripe_products": Command(
        "workers.commands.sync_stripe_products:sync_stripe_products",
        "Make Stripe's products and prices match the catalogue.",
    ),
    "check_subscription_status": Command(
        "workers.commands.check_subscription_status:check_subscription_status",
        "Compare subscriptions with Stripe's and repair ours.",
    ),
    "events": Command(
        "workers.commands.events:events",
        "List the inbox; `events show ID` shows one event.",
    ),
    "explain": Command(
        "workers.commands.explain:explain",
        "Explain a user's balance: what happened, and what each event did.",
    ),
    "audit": Command(
        "workers.commands.audit:audit",
        "Recompute everything from the stored events and compare it with the tables.",
    ),
    "replay": Command(
        "workers.commands.replay:replay",
        "Apply stored events again; an event that had its effect has no second one.",
    ),
    "rebuild": Command(
        "workers.commands.rebuild:rebuild",
        "Derive everything anew from the stored events, and post what the ledger lacks.",
    ),
    "adjust": Command(
        "workers.commands.by_hand:adjust",
        "Correct a user's balance by hand, with who and why.",
    ),
    "assign": Command(
        "workers.commands.by_hand:assign",
        "Give a payment its user or its plan by hand.",
    ),
    "reconcile": Command(
        "workers.commands.reconcile:reconcile",
        "Fetch the events that Stripe lists and the inbox lacks.",
    ),
    "webhook_endpoint": Command(
        "workers.commands.webhook_endpoint:webhook_endpoint",
        "Make our endpoint at Stripe, tell its drift, rotate its secret, upgrade its version.",
    ),
    "reverify": Command(
        "workers.commands.reverify:reverify",
        "Say which stored events can be proved to come from Stripe.",
    ),
    "destinations": Command(
        "workers.commands.destinations:destinations",
        "Choose who hears of changes: list, add, test, pause, resume, resend, remove.",
    ),
    "doctor": Command(
        "workers.commands.doctor:doctor",
        "Check everything that the installation needs; each finding says how to mend it.",
    ),
    "issue_token": Command(
        "workers.commands.tokens:issue_token",
        "Print a JWT for development.",
    ),
    "completion": Command(
        "workers.commands.completion:completion",
        "Print what a shell needs to complete commands: bash, zsh or fish.",
    ),
    "worker": Command(
        "workers.commands.processes:worker",
        "Run one worker process.",
    ),
    "beat": Command(
        "workers.commands.processes:beat",
        "Run the scheduler.",
    ),
    "drain_inbox": Command(
        "workers.commands.processes:drain_inbox",
        "Apply what waits while the broker does not work. Workers run it themselves.",
    ),
    "web": Command(
        "ingest.server:web",
        "Run the receiver and the API.",
    ),
    "migrate": Command(
        "workers.commands.processes:migrate",
        "Bring the database to the newest schema.",
    ),
}

__all__ = ["COMMANDS", "Command", "catalogue", "command_line", "tokens"]
