"""`events show`: an event with its effects, and who carries them where it does not itself."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tests.pipeline import work
from tests.stripe_objects import (
    a_customer,
    a_line,
    a_subscription,
    an_event,
    an_invoice,
    an_invoice_payment,
)
from workers.commands.events import events as command
from workers.context import WorkerContext

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on the test database."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(command, arguments)

    return invoke


def test_an_event_without_entries_names_the_one_that_carries_them(
    context: WorkerContext, run: Run
) -> None:
    """Of one batch the last event that touched the payment has the grant."""
    invoice = an_invoice([a_line(2_900)], metadata={"user_id": "user_1"})
    link = an_invoice_payment("in_1", "pi_1")
    work(
        context,
        [
            an_event("invoice.paid", invoice, event_id="evt_paid"),
            an_event("invoice_payment.paid", link, event_id="evt_linked"),
        ],
    )
    granted = "granted with evt_linked: +10000 tokens  user user_1  balance 10000"
    assert granted in run("show", "evt_paid").output
    told = json.loads(run("show", "evt_paid", "--json").output)
    assert [each["event_id"] for each in told["payment_effects"]] == ["evt_linked"]
    own = run("show", "evt_linked").output
    assert "+10000 tokens  grant  user user_1" in own
    assert "granted with" not in own


def test_an_event_that_is_about_no_money_has_no_entries(context: WorkerContext, run: Run) -> None:
    """Neither a customer nor a subscription is a payment."""
    work(
        context,
        [
            an_event("customer.updated", a_customer(), event_id="evt_customer"),
            an_event("customer.subscription.updated", a_subscription(), event_id="evt_state"),
        ],
    )
    for event_id in ("evt_customer", "evt_state"):
        assert "  no ledger entries\n" in run("show", event_id).output


# A whole frame of one byte, compressed with dictionary 99,999.
OF_A_NEWER_RELEASE = b"\x28\xb5\x2f\xfd\x23" + (99_999).to_bytes(4, "little") + b"\x01\x09\0\0x"
DAMAGED = b"\x28\xb5\x2f\xfd\x20\x05broken"


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (OF_A_NEWER_RELEASE, "dictionary 99999 is not in dictionaries: a newer release"),
        (DAMAGED, "it is damaged"),
    ],
)
def test_a_body_that_cannot_be_read_is_told_in_one_line(
    context: WorkerContext, run: Run, kept: bytes, reason: str
) -> None:
    """Everything else of the event is shown: what came of it, and its effects."""
    work(context, [an_event("customer.created", a_customer(), event_id="evt_1")])
    with context.engine.begin() as connection:
        connection.execute(text("ALTER TABLE webhook_events DISABLE TRIGGER USER"))
        connection.execute(text("UPDATE webhook_events SET body = :kept"), {"kept": kept})
        connection.execute(text("ALTER TABLE webhook_events ENABLE TRIGGER USER"))
    result = run("show", "evt_1")
    assert result.exit_code == 1
    assert "customer.created" in result.stdout
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"Error: The payload cannot be read: {reason}")
    told = json.loads(run("show", "evt_1", "--json").output)
    assert told["payload"] is None
    assert told["unreadable"].startswith(reason)
