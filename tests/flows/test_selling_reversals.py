"""Money that goes back, and sometimes returns: field guide §4.11 and §4.12.

Real are our app, its engines, the signed webhooks and their HTTP; Stripe is the offline one.
"""

import pytest

from tests.buyers import Buyer
from tests.shop_floor import BASIC, PACK, PRO, Floor


def taken(buyer: Buyer) -> tuple[str, int, int, int]:
    """Status, refunded and disputed money, and tokens left of the buyer's only payment."""
    [found] = buyer.payments
    return (
        found["status"],
        found["amount_refunded"],
        found["amount_disputed"],
        found["tokens"],
    )


def test_a_full_refund_takes_all_tokens_back(floor: Floor) -> None:
    """4.11: of a package; the session stays complete, for what it brought is told apart."""
    ada = Buyer(floor, "ada")
    session = ada.buy(PACK)
    ada.refund()
    assert taken(ada) == ("refunded", 500, 0, 0)
    assert ada.ledger == [("grant", 1_000), ("reversal", -1_000)]
    found = ada.status(session)
    assert (found["status"], found["tokens_granted"]) == ("complete", 0)


def test_refunds_in_parts_take_their_share_each(floor: Floor) -> None:
    """4.11: rounded against the buyer by a token at most, and never more than all."""
    bob = Buyer(floor, "bob")
    bob.buy(PACK)
    bob.refund(167)
    assert taken(bob) == ("partially_refunded", 167, 0, 666)
    bob.refund(167)
    assert taken(bob) == ("partially_refunded", 334, 0, 332)
    bob.refund()
    assert taken(bob) == ("refunded", 500, 0, 0)
    assert bob.ledger == [
        ("grant", 1_000),
        ("reversal", -334),
        ("reversal", -334),
        ("reversal", -332),
    ]


def test_a_refund_that_fails_gives_the_tokens_back(floor: Floor) -> None:
    """4.11: days later the bank refuses it; the payment is whole again."""
    cara = Buyer(floor, "cara")
    cara.buy(PACK)
    refund = cara.refund(250)
    assert taken(cara) == ("partially_refunded", 250, 0, 500)
    floor.pass_days(5)
    floor.stripe.world.finish_refund(refund, succeeds=False)
    floor.settle()
    assert taken(cara) == ("paid", 0, 0, 1_000)
    assert cara.ledger == [("grant", 1_000), ("reversal", -500), ("restore", 500)]


def test_a_refund_of_tokens_that_are_spent_leaves_a_debt(floor: Floor) -> None:
    """4.11: the balance falls below zero, and what is bought next pays that first."""
    dan = Buyer(floor, "dan")
    dan.buy(PACK)
    dan.debit(900)
    dan.refund()
    assert dan.balance == -900
    assert dan.debit(1, expect=402)["code"] == "insufficient_tokens"
    dan.buy(PACK)
    assert dan.balance == 100


def test_a_refund_of_one_period_leaves_the_subscription_and_the_others(floor: Floor) -> None:
    """4.11: of the renewal's invoice; the contract runs on."""
    eli = Buyer(floor, "eli")
    eli.subscribe(BASIC)
    eli.pass_period()
    eli.refund(1_000)
    assert eli.paid == [("paid", 2_000, 2_000), ("partially_refunded", 2_000, 1_000)]
    assert eli.standing == ("active", True)
    eli.pass_period()
    assert eli.balance == 2_000 + 1_000 + 2_000


@pytest.mark.parametrize(("won", "after"), [(True, "paid"), (False, "disputed")])
def test_a_dispute_takes_the_money_until_it_is_won(floor: Floor, *, won: bool, after: str) -> None:
    """4.12: withdrawn at once; reinstated when won, gone when lost."""
    buyer = Buyer(floor, f"won: {won}")
    buyer.buy(PACK)
    dispute = floor.stripe.world.dispute(buyer.charge.charge_id)
    floor.settle()
    assert taken(buyer) == ("disputed", 0, 500, 0)
    assert buyer.balance == 0
    floor.pass_days(10)
    floor.stripe.world.close_dispute(dispute, won=won)
    floor.settle()
    assert taken(buyer) == (after, 0, 0 if won else 500, 1_000 if won else 0)
    restored = [("restore", 1_000)] if won else []
    assert buyer.ledger == [("grant", 1_000), ("reversal", -1_000), *restored]


def test_a_dispute_of_a_subscription_takes_its_invoice_only(floor: Floor) -> None:
    """4.12: what other periods brought is not touched, and the contract runs on."""
    fay = Buyer(floor, "fay")
    fay.subscribe(PRO)
    fay.pass_period()
    floor.stripe.world.dispute(fay.charge.charge_id)
    floor.settle()
    assert fay.paid == [("paid", 5_000, 6_000), ("disputed", 5_000, 0)]
    assert (fay.standing, fay.balance) == (("active", True), 6_000)


def test_an_inquiry_moves_neither_money_nor_tokens(floor: Floor) -> None:
    """4.12: it opens, it closes, and nothing happened."""
    gus = Buyer(floor, "gus")
    gus.buy(PACK)
    inquiry = floor.stripe.world.dispute(gus.charge.charge_id, inquiry=True)
    floor.settle()
    assert taken(gus) == ("paid", 0, 0, 1_000)
    floor.stripe.world.close_dispute(inquiry, won=True)
    floor.settle()
    assert (taken(gus), gus.ledger) == (("paid", 0, 0, 1_000), [("grant", 1_000)])


def test_a_payment_refunded_in_part_and_then_disputed_is_never_taken_twice(floor: Floor) -> None:
    """4.12: both together take what was paid, no more; won, the refund's share stays away."""
    hal = Buyer(floor, "hal")
    hal.buy(PACK)
    hal.refund(200)
    dispute = floor.stripe.world.dispute(hal.charge.charge_id)
    floor.settle()
    assert taken(hal) == ("disputed", 200, 300, 0)
    floor.stripe.world.close_dispute(dispute, won=True)
    floor.settle()
    assert taken(hal) == ("partially_refunded", 200, 0, 600)
    assert hal.balance == 600
