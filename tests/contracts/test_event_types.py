"""The contract's list of events, the decoder table, the fixtures and the documentation agree."""

import re
from pathlib import Path

import orjson
import pytest

from domain.decode import DECODERS

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "stripe"
BASIL = "2025-03-31"

# Contract §4, written down once more.
HANDLED = {
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "invoice_payment.paid",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "credit_note.created",
    "credit_note.updated",
    "credit_note.voided",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "customer.created",
    "customer.updated",
    "customer.deleted",
}
# Stripe has sent these only since basil; there is nothing older to record.
ONLY_NEW = {"invoice_payment.paid"}


def shapes_of(event_type: str) -> set[str]:
    """The fixtures that exist for a type."""
    names = (path.name for path in FIXTURES.glob(f"{event_type}.*.json"))
    return {name.removeprefix(f"{event_type}.").removesuffix(".json") for name in names}


def documented() -> list[str]:
    """The event types in the table of `docs/events.md`, in its order."""
    text = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([a-z_.]+)` \|", text, flags=re.MULTILINE)


def test_there_is_a_decoder_for_every_event_of_the_contract_and_for_no_other() -> None:
    """A type without one would be stored as ignored."""
    assert set(DECODERS) == HANDLED


@pytest.mark.parametrize("event_type", sorted(HANDLED))
def test_every_event_is_recorded_in_the_shapes_in_which_it_exists(event_type: str) -> None:
    """Before and since 2025-03-31."""
    assert shapes_of(event_type) == ({"new"} if event_type in ONLY_NEW else {"old", "new"})


@pytest.mark.parametrize("path", sorted(FIXTURES.iterdir()), ids=lambda path: path.name)
def test_a_fixture_is_the_event_and_the_shape_its_name_says(path: Path) -> None:
    """A whole event, of a version on the right side of the change, in test mode."""
    event = orjson.loads(path.read_bytes())
    event_type, shape = path.name.removesuffix(".json").rsplit(".", 1)
    assert event["type"] == event_type
    assert event_type in HANDLED
    assert (event["api_version"] < BASIL) is (shape == "old")
    assert event["object"] == "event"
    assert event["livemode"] is False
    assert ("previous_attributes" in event["data"]) is event_type.endswith(".updated")


def test_no_two_fixtures_share_an_event_id() -> None:
    """Played together, none would pass for a duplicate of another."""
    ids = [orjson.loads(path.read_bytes())["id"] for path in FIXTURES.iterdir()]
    assert len(set(ids)) == len(ids) == 2 * len(HANDLED) - len(ONLY_NEW)


def test_the_documented_list_is_the_list_once() -> None:
    """Who enables what `docs/events.md` names gets everything that is handled."""
    assert sorted(documented()) == sorted(HANDLED)


def test_the_command_in_the_documentation_enables_the_same_events() -> None:
    """The list to paste is the list in the table."""
    text = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    (pasted,) = re.findall(r"--events \\\n((?:[a-z_.,]+\\?\n?)+)", text)
    assert pasted.replace("\\\n", "").strip().split(",") == documented()
