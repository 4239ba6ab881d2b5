"""The path contract is complete: what decoders ask an object for is declared, and no more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from domain.decode import DECODERS
from domain.decode.paths import ANYWHERE, BESIDE, NEWEST, OLDEST, READINGS, Place, in_version
from sandbox.simulate.account import Account
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.versions import EVERY
from tests.domain.decode.recorded_paths import asked_of
from tests.stripe_objects import (
    OLD,
    a_dispute,
    a_line,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "stripe"
TODAY = 1_788_220_800
CUSTOMERS_A_VERSION = 3
# What the simulator never sends: shapes of before its oldest version, and rare ways to pay.
_NOTHING_PAID: dict[str, Any] = {"payment_intent": None, "charge": None}
_PLAN = {"id": "plan_1", "amount": 5, "usage_type": "metered"}
RARE = (
    an_event(
        "payment_intent.succeeded",
        an_intent(charges={"data": [{"receipt_url": "https://pay.stripe.com/r"}]}),
        api_version="2022-08-01",
    ),
    an_event(
        "invoice.paid",
        an_invoice(
            [a_line(5, api_version=OLD) | {"price": None, "plan": _PLAN, "discounts": ["di_1"]}],
            api_version=OLD,
        ),
        api_version=OLD,
    ),
    an_event("invoice.paid", an_invoice([], payments={"data": [{"payment": _NOTHING_PAID}]})),
    an_event("invoice.paid", an_invoice([a_line(5, None, proration=True) | {"discounts": ["d"]}])),
    an_event(
        "invoice_payment.paid",
        {"object": "invoice_payment", "invoice": "in_1", "payment": _NOTHING_PAID},
    ),
    an_event(
        "customer.subscription.updated",
        {"object": "subscription", "id": "sub_1", "status": "active", "plan": _PLAN},
        api_version="2018-02-28",
    ),
    an_event(
        "customer.subscription.updated",
        a_subscription(items={"data": [{"id": "si_1", "plan": _PLAN}]}),
        api_version="2018-02-28",
    ),
    an_event(
        "customer.subscription.updated",
        a_subscription(items={"data": [{"id": "si_1", "price": {"id": "price_1"}}]}),
    ),
    an_event("refund.created", a_refund(payment_intent=None, charge=None, payment_record="prec")),
    an_event(
        "charge.dispute.created",
        a_dispute(payment_intent=None, charge=None, payment_record="prec"),
    ),
    an_event(
        "credit_note.created",
        {
            "object": "credit_note",
            "id": "cn",
            "amount": 5,
            "invoice": "in",
            "refunds": {"data": []},
        },
    ),
    an_event(
        "checkout.session.completed",
        a_session(line_items={"data": [{"price": "price_1", "quantity": 1}], "has_more": False}),
    ),
)


def documents() -> Iterator[Any]:
    """Events of every kind, as every version sends them."""
    yield from RARE
    for fixture in FIXTURES.glob("*.json"):
        yield orjson.loads(fixture.read_bytes())
    for number, version in enumerate(EVERY):
        account = Account(seed=number, run=version.name, starts_at=TODAY)
        play(
            account,
            read_file(SAMPLE_PLANS),
            (version,),
            customers=CUSTOMERS_A_VERSION,
            today=TODAY,
        )
        yield from (event.payload for event in account.events if event.type in DECODERS)


@pytest.fixture(scope="module")
def asked() -> dict[str, set[str]]:
    """Every path that was asked for, by the object's kind."""
    paths: dict[str, set[str]] = {}
    for document in documents():
        kind, of_object = asked_of(document)
        paths.setdefault(kind, set()).update(of_object)
    return paths


def declared(kind: str) -> set[str]:
    """What the contract names of a kind."""
    return {place.path for reading in READINGS if reading.kind == kind for place in reading.places}


def is_part_of(path: str, whole: str) -> bool:
    """Whether a path is on the way to another, or inside the metadata or plan that it leads to."""
    on_the_way = whole.replace("[]", "").startswith(f"{path.replace('[]', '')}.")
    is_read_whole = whole.endswith(("metadata", "plan"))
    return on_the_way or (is_read_whole and path.startswith(f"{whole}."))


def test_what_is_asked_for_is_declared(asked: dict[str, set[str]]) -> None:
    """A path that a decoder comes to read is added with its versions and its meaning."""
    undeclared = [
        f"{kind}.{path}"
        for kind, paths in asked.items()
        for path in sorted(paths)
        if not any(
            path == known or is_part_of(path, known)
            for known in declared(kind) | ANYWHERE | BESIDE.get(kind, frozenset())
        )
    ]
    assert undeclared == []


def test_what_is_declared_is_asked_for(asked: dict[str, set[str]]) -> None:
    """A path that nobody reads any more is taken out."""
    kinds = {reading.kind for reading in READINGS}
    unread = [
        f"{kind}.{path}"
        for kind in sorted(kinds)
        for path in sorted(declared(kind) | BESIDE.get(kind, frozenset()))
        if path not in asked[kind] and path.removesuffix(".id") not in asked[kind]
    ]
    assert unread == []


def test_a_version_has_what_was_there_on_its_day() -> None:
    """From the day on that a place came, until the day before it went."""
    place = Place("parent", since="2025-03-31", until="2026-01-01")
    dates = ("2025-03-30", "2025-03-31", "2025-12-31", "2026-01-01")
    assert [place.is_in(date) for date in dates] == [False, True, True, False]


@pytest.mark.parametrize("date", [OLDEST, "2025-02-24", "2025-03-31", "2025-05-28", NEWEST])
def test_in_every_version_all_is_told(date: str) -> None:
    """Or it is said what tells it instead."""
    assert [
        reading for reading, places in in_version(date) if not places and not reading.without
    ] == []
