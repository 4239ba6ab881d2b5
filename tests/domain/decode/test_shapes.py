"""The shape of an event is told by what is there, and checked against its API version."""

from typing import Any

import pytest

from domain.decode import decode, parse
from domain.decode.version_check import version_date
from tests.stripe_objects import (
    NEW,
    OLD,
    a_charge,
    a_customer,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
)


@pytest.mark.parametrize(
    ("event_type", "found", "api_version", "odd"),
    [
        ("invoice.paid", an_invoice([], api_version=OLD), NEW, "subscription"),
        ("invoice.paid", an_invoice([]), OLD, "parent"),
        (
            "customer.subscription.created",
            a_subscription(api_version=OLD),
            "2025-03-31.basil",
            "current_period_start",
        ),
        (
            "customer.subscription.created",
            a_subscription(),
            "2025-02-24.acacia",
            "items.data[].current_period_end",
        ),
        ("payment_intent.succeeded", an_intent(invoice=None), NEW, "invoice"),
        ("charge.refunded", a_charge(invoice=None), NEW, "invoice"),
    ],
)
def test_a_shape_that_does_not_fit_its_version_is_read_and_remarked(
    event_type: str, found: dict[str, Any], api_version: str, odd: str
) -> None:
    """The fields that are there decide; the note says that the version promised others."""
    event = an_event(event_type, found, api_version=api_version)
    when = "before" if api_version >= "2025-03-31" else "since"
    assert decode(parse(event)).note == (
        f"api_version {api_version} does not fit: {odd} exists only {when} 2025-03-31;"
        " read by what is present"
    )


@pytest.mark.parametrize(("api_version", "named"), [("", "missing"), ("next", "'next'")])
def test_a_version_that_cannot_be_dated_is_remarked(api_version: str, named: str) -> None:
    """Nothing to check the shape against; the event is read all the same."""
    found = decode(parse(an_event("customer.created", a_customer(), api_version=api_version)))
    assert found.note == f"api_version is {named}; the shape was told by what is present"
    assert len(found.facts) == 1


@pytest.mark.parametrize(
    "gone", ["subscription", "subscription_details", "payment_intent", "charge", "paid"]
)
def test_each_field_that_basil_took_from_the_invoice_is_remarked(gone: str) -> None:
    """Also when it is null: the new shape does not have it at all."""
    event = an_event("invoice.paid", an_invoice([]) | {gone: None}, api_version=NEW)
    note = decode(parse(event)).note
    assert note is not None
    assert f"does not fit: {gone} exists only before" in note


def test_the_end_of_a_period_alone_marks_an_old_subscription() -> None:
    """Either edge tells."""
    found = a_subscription() | {"current_period_end": 5}
    note = decode(parse(an_event("customer.subscription.updated", found, api_version=NEW))).note
    assert note is not None
    assert "current_period_end exists only before 2025-03-31" in note


@pytest.mark.parametrize(
    ("event_type", "found"),
    [
        ("invoice.paid", an_invoice([], api_version=OLD)),
        ("customer.subscription.updated", a_subscription(api_version=OLD)),
        ("payment_intent.succeeded", an_intent(invoice="in_1")),
        ("charge.refunded", a_charge(invoice="in_1")),
        ("customer.created", a_customer()),
    ],
)
def test_an_old_shape_under_an_old_version_is_nothing_to_remark(
    event_type: str, found: dict[str, Any]
) -> None:
    """The day before the change included."""
    for version in (OLD, "2025-03-30"):
        assert decode(parse(an_event(event_type, found, api_version=version))).note is None


def test_a_version_is_dated_by_its_first_ten_characters() -> None:
    """With or without a name behind."""
    assert version_date("2026-03-25.dahlia") == "2026-03-25"
    assert version_date("2024-06-20") == "2024-06-20"
    assert version_date("x2024-06-20") is None


def test_what_is_not_handled_is_not_checked() -> None:
    """An ignored event says nothing."""
    event = an_event("invoice.created", an_invoice([], api_version=OLD), api_version=NEW)
    assert decode(parse(event)).note is None


def test_a_long_version_is_not_quoted_whole() -> None:
    """A note is a sentence, not a dump."""
    event = an_event("customer.created", a_customer(), api_version="v" * 60)
    assert decode(parse(event)).note == (
        f"api_version is '{'v' * 40}'; the shape was told by what is present"
    )


def test_one_item_with_its_own_period_is_enough_to_mark_a_new_subscription() -> None:
    """The first item may lack what the second has."""
    items = {"data": [{"id": "si_1", "price": "p"}, {"price": "p", "current_period_end": 5}]}
    event = an_event("customer.subscription.updated", a_subscription(items=items), api_version=OLD)
    assert "items.data[].current_period_end exists only since" in (decode(parse(event)).note or "")
