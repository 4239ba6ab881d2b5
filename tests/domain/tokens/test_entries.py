"""Ledger entries: what is posted when a payment's worth, owner or name changes, and why."""

from typing import Any

import pytest

from domain.payments.derivation import Payment
from domain.tokens.entries import LedgerEntry, entries_for
from tests.play import Player, play
from tests.stripe_objects import (
    a_line,
    a_refund,
    a_session,
    an_event,
    an_intent,
    an_invoice,
    an_invoice_payment,
)

PAYMENT = Payment(
    id="cs_1",
    listed=True,
    user_id="ann",
    status="paid",
    currency="usd",
    amount_minor=500,
    refunded_minor=0,
    disputed_minor=0,
    plan_id=4,
    plan_version=1,
    tokens=1_000,
    lacks_plan=False,
    receipt_url=None,
)


def entries(posted: dict[str, int], was_taken: int = 0, **changes: Any) -> list[LedgerEntry]:
    """What is posted for a payment of ann's 1,000 tokens, or one changed from it."""
    return entries_for(PAYMENT._replace(**changes), posted, was_taken)


@pytest.mark.parametrize(
    ("posted", "was_taken", "changes", "expected"),
    [
        ({}, 0, {}, [("ann", 1_000, "grant", "Payment cs_1 is paid")]),
        ({"ann": 1_000}, 0, {}, []),
        ({}, 0, {"user_id": None}, []),
        ({}, 0, {"tokens": 0}, []),
        (
            {"ann": 1_000},
            0,
            {"tokens": 600, "refunded_minor": 200},
            [("ann", -400, "reversal", "Money of payment cs_1 was refunded or disputed")],
        ),
        (
            {"ann": 600},
            200,
            {},
            [("ann", 400, "restore", "Refunded or disputed money of payment cs_1 came back")],
        ),
        (
            {"ann": 600},
            0,
            {},
            [("ann", 400, "adjustment", "Payment cs_1 now stands for 1000 tokens of this user")],
        ),
        (
            {"ann": 1_200},
            0,
            {},
            [("ann", -200, "adjustment", "Payment cs_1 now stands for 1000 tokens of this user")],
        ),
        (
            {"ann": 1_200},
            200,
            {"refunded_minor": 200},
            [("ann", -200, "adjustment", "Payment cs_1 now stands for 1000 tokens of this user")],
        ),
        (
            {},
            0,
            {"tokens": -5, "refunded_minor": 1},
            [("ann", -5, "adjustment", "Payment cs_1 now stands for -5 tokens of this user")],
        ),
        (
            {"bob": 1_000},
            0,
            {},
            [
                ("ann", 1_000, "grant", "Payment cs_1 is paid"),
                (
                    "bob",
                    -1_000,
                    "adjustment",
                    "Payment cs_1 now stands for 1000 tokens of this user",
                ),
            ],
        ),
    ],
)
def test_an_entry_brings_the_ledger_to_the_net_and_says_why(
    posted: dict[str, int],
    was_taken: int,
    changes: dict[str, Any],
    expected: list[tuple[str, int, str, str]],
) -> None:
    """Grant, reversal, restore, and adjustment for everything else."""
    assert entries(posted, was_taken, **changes) == [
        LedgerEntry(user, delta, kind, "cs_1", reason) for user, delta, kind, reason in expected
    ]


def test_a_payment_that_moves_to_its_invoice_leaves_what_it_left_as_it_was() -> None:
    """An intent shown under a session turns out to have paid an invoice: both are derived again."""
    session = an_event("checkout.session.completed", a_session())
    refund = an_event("refund.created", a_refund())
    invoice = an_event("invoice.paid", an_invoice([a_line(2_900)], metadata={"user_id": "user_1"}))
    link = an_event("invoice_payment.paid", an_invoice_payment("in_1", "pi_1"))
    for order in ([session, refund, invoice, link], [link, invoice, refund, session]):
        tables = play(order)
        assert tables.payments["cs_1"].tokens == 1_000
        assert tables.payments["in_1"].refunded_minor == 500
        # The session's 1,000, and 10,000 less 500/2900 of them, rounded up.
        assert tables.balances == {"user_1": 1_000 + 8_275}


def test_what_was_posted_for_a_session_counts_for_the_invoice_it_turns_out_to_be() -> None:
    """No second grant, and the row of the session is gone."""
    player = Player()
    player.apply(an_event("checkout.session.completed", a_session()))
    player.apply(an_event("refund.created", a_refund(amount=250)))
    assert player.working_set.roots == {"cs_1": "cs_1", "pi_1": "cs_1", "ch_1": "cs_1"}
    line = a_line(500, "price_pack_usd", subscription=None)
    player.apply(an_event("checkout.session.completed", a_session(invoice="in_1")))
    player.apply(an_event("invoice.paid", an_invoice([line], subscription=None)))
    player.apply(an_event("payment_intent.succeeded", an_intent()))
    assert list(player.working_set.payments) == ["in_1"]
    assert [(kind, delta) for _, kind, delta in player.entries] == [
        ("grant", 1_000),
        ("reversal", -500),
    ]
    assert player.tables().balances == {"user_1": 500}
