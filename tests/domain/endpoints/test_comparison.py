"""What two versions of the same events say differently, and what of it is known to be harmless."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from domain.decode import decode, parse
from domain.endpoints.comparison import Difference, Versions, differences
from domain.endpoints.moves import sends
from tests.play import CATALOGUE
from tests.stripe_objects import (
    NEW,
    OLD,
    a_charge,
    a_customer,
    a_line,
    a_refund,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
    an_invoice_payment,
)

ACACIA = "2025-02-24.acacia"
Events = Sequence[Mapping[str, Any]]


def told(events: Events) -> list[tuple[str, Any]]:
    """The facts of events."""
    return [(event["id"], fact) for event in events for fact in decode(parse(event)).facts]


def compared(
    before: Events, after: Events, *, base: Events = (), versions: tuple[str, str] = (ACACIA, NEW)
) -> list[Difference]:
    """The differences between two tellings of the same."""
    return differences(told(base), told(before), told(after), CATALOGUE, Versions(*versions))


def open_ones(found: Sequence[Difference]) -> list[tuple[str, str]]:
    """The objects and facts of those without an excuse."""
    return [(each.object_id, each.path) for each in found if not each.excuse]


def a_life(version: str, **changes: Any) -> list[dict[str, Any]]:
    """A subscription that was paid, as a version tells it; `changes` are of its invoice."""
    line = a_line(2900, api_version=version)
    invoice = an_invoice([line], api_version=version, payment_intent="pi_1", **changes)
    events = [
        an_event("customer.created", a_customer(), event_id="evt_1"),
        an_event(
            "customer.subscription.created", a_subscription(api_version=version), event_id="evt_2"
        ),
        an_event("invoice.paid", invoice, event_id="evt_3"),
        an_event("payment_intent.succeeded", an_intent(), event_id="evt_4"),
    ]
    if sends(version, "invoice_payment.paid"):
        events.append(
            an_event("invoice_payment.paid", an_invoice_payment("in_1", "pi_1"), event_id="evt_5")
        )
    return [event | {"api_version": version} for event in events]


def test_the_same_life_in_both_shapes_is_the_same() -> None:
    """Though the link of invoice and intent comes with another event in the newer one."""
    assert compared(a_life(ACACIA), a_life(NEW)) == []


def test_a_fact_that_the_newer_version_hides_is_told_by_object_with_what_it_costs() -> None:
    """As when a field moves and the decoder does not know where to."""
    found = compared(a_life(ACACIA), a_life(NEW, amount_paid=None))
    assert ("in_1", "invoice.amount_paid_minor") in open_ones(found)
    (amount,) = [each for each in found if each.path == "invoice.amount_paid_minor"]
    assert (amount.before, amount.after) == (2900, 0)
    owner = compared(a_life(ACACIA), a_life(NEW, customer=None))
    assert ("in_1", "customer_id") in open_ones(owner)


def test_what_a_payment_comes_to_is_compared_too() -> None:
    """Another price is another plan and other tokens, and no excuse counts."""
    after = a_life(NEW)
    pricing = {"price_details": {"price": "price_basic_usd", "product": "prod_1"}}
    after[2]["data"]["object"]["lines"]["data"][0]["pricing"] = pricing
    found = open_ones(compared(a_life(ACACIA), after))
    assert ("payment in_1", "tokens") in found


def test_a_link_that_only_the_older_version_tells_is_excused_where_it_is_known_otherwise() -> None:
    """An intent of before names its invoice, which is known since; and not where nobody tells."""
    old_intent = an_event(
        "payment_intent.succeeded", an_intent(invoice="in_1"), event_id="evt_9", api_version=ACACIA
    )
    new_intent = an_event("payment_intent.succeeded", an_intent(), event_id="evt_9")
    known = compared([old_intent], [new_intent], base=a_life(ACACIA))
    assert [each.path for each in known] == ["object", "parents[in_1]"]
    assert open_ones(known) == []
    unknown = compared([old_intent], [new_intent])
    assert ("pi_1", "parents[in_1]") in open_ones(unknown)


def test_refunds_one_by_one_stand_for_their_sum() -> None:
    """Before 2024-10-28 the charge tells how much went back, later each refund does."""
    life = a_life(OLD)
    charge = a_charge(payment_intent="pi_1", amount_refunded=1000)
    refund = a_refund(payment_intent="pi_1", amount=1000)
    before = [*life, an_event("charge.refunded", charge, event_id="evt_8", api_version=OLD)]
    after = [
        *a_life(NEW),
        an_event("charge.refunded", charge, event_id="evt_8"),
        an_event("refund.created", refund, event_id="evt_9"),
    ]
    found = compared(before, after, versions=(OLD, NEW))
    assert found
    assert open_ones(found) == []
    less = [*after[:-1], an_event("refund.created", refund | {"amount": 999}, event_id="evt_9")]
    assert open_ones(compared(before, less, versions=(OLD, NEW)))


def test_an_object_that_one_side_alone_tells_of_is_one_difference() -> None:
    """Not a line for each of its facts."""
    found = compared(a_life(ACACIA)[:1], [])
    assert [(each.object_id, each.path, each.after) for each in found] == [
        ("cus_1", "object", None)
    ]


def test_a_state_that_differs_is_told_whatever_the_shape() -> None:
    """Reports of a subscription are compared by what they say, not by how."""
    after = a_life(NEW)
    after[1]["data"]["object"]["status"] = "past_due"
    assert ("sub_1", "state.status") in open_ones(compared(a_life(ACACIA), after))


@pytest.mark.parametrize(
    ("version", "event_type", "is_sent"),
    [
        (OLD, "refund.created", False),
        (ACACIA, "refund.created", True),
        (ACACIA, "invoice_payment.paid", False),
        (NEW, "invoice_payment.paid", True),
        (OLD, "invoice.paid", True),
    ],
)
def test_some_types_are_sent_since_a_version(
    version: str, event_type: str, *, is_sent: bool
) -> None:
    """Nobody waits for the twin of an event that an older endpoint never gets."""
    assert sends(version, event_type) is is_sent
