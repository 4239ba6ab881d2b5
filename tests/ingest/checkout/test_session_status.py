"""What the success page is told, in every state, by real events through the real pipeline."""

import pytest

from tests.ingest.shop import PACKAGE, PRO, TRIED, Shop, problem
from tests.ingest.success_page import a_contract, deaf, seen
from tests.pipeline import balances
from tests.stripe_objects import (
    a_line,
    a_refund,
    a_session,
    an_event,
    an_intent,
)

PAID = {"status": "complete", "payment_status": "paid"}
UNPAID = {"status": "complete", "payment_status": "unpaid"}
EXPIRED = {"status": "expired"}


pytestmark = pytest.mark.usefixtures("nobody_waits")


def test_a_package_is_complete_once_its_tokens_are_there(shop: Shop) -> None:
    """Open, then complete with what it brought, then less after a refund."""
    session_id = shop.bought(PACKAGE)["session_id"]
    assert seen(shop, session_id) == ("open", 0, None)
    deaf(shop)
    session = shop.told(session_id, **PAID, payment_intent="pi_1")
    shop.work(an_event("checkout.session.completed", session))
    assert seen(shop, session_id) == ("complete", 1_000, None)
    shop.work(
        an_event("payment_intent.succeeded", an_intent(customer=session["customer"])),
        an_event("refund.created", a_refund(amount=250)),
    )
    assert seen(shop, session_id) == ("complete", 500, None)


def test_a_delayed_payment_is_processing_until_it_arrives(shop: Shop) -> None:
    """The buyer is done; the money is not there yet."""
    session_id = shop.bought(PACKAGE)["session_id"]
    shop.work(an_event("checkout.session.completed", shop.told(session_id, **UNPAID)))
    assert seen(shop, session_id) == ("processing", 0, None)
    paid = shop.told(session_id, **PAID)
    shop.work(an_event("checkout.session.async_payment_succeeded", paid))
    assert seen(shop, session_id) == ("complete", 1_000, None)


def test_a_delayed_payment_that_fails_is_failed(shop: Shop) -> None:
    """Nothing more will come of it."""
    session_id = shop.bought(PACKAGE)["session_id"]
    session = shop.told(session_id, **UNPAID)
    shop.work(
        an_event("checkout.session.completed", session),
        an_event("checkout.session.async_payment_failed", session, created=1_700_000_900),
    )
    assert seen(shop, session_id) == ("failed", 0, None)


def test_a_session_that_nobody_paid_is_expired(shop: Shop) -> None:
    """By the event, or when Stripe says so."""
    by_event, by_asking = (shop.bought(plan)["session_id"] for plan in (PACKAGE, PRO))
    shop.work(an_event("checkout.session.expired", shop.told(by_event, **EXPIRED)))
    shop.told(by_asking, **EXPIRED)
    assert seen(shop, by_event) == ("expired", 0, None)
    assert seen(shop, by_asking) == ("expired", 0, None)


def test_a_subscription_is_complete_once_state_and_money_are_there(shop: Shop) -> None:
    """Whichever comes last: session, subscription or invoice."""
    session_id = shop.bought(PRO)["session_id"]
    subscription, invoice = a_contract(shop, session_id)
    deaf(shop)
    shop.work(
        an_event(
            "checkout.session.completed",
            shop.told(session_id, **PAID)
            | {
                "subscription": "sub_1",
                "invoice": "in_1",
                "amount_total": 2_900,
            },
        )
    )
    assert seen(shop, session_id) == ("processing", 0, "sub_1")
    shop.work(an_event("customer.subscription.created", subscription | {"status": "incomplete"}))
    shop.work(an_event("invoice.paid", invoice))
    assert seen(shop, session_id) == ("processing", 0, "sub_1")
    changed = {"status": "incomplete"}
    active = an_event("customer.subscription.updated", subscription, previous=changed)
    shop.work(active)
    assert seen(shop, session_id) == ("complete", 10_000, "sub_1")
    ended = subscription | {"status": "canceled"}
    shop.work(an_event("customer.subscription.deleted", ended, created=1_700_009_000))
    assert seen(shop, session_id) == ("complete", 10_000, "sub_1")


def test_a_subscription_that_never_began_is_failed(shop: Shop) -> None:
    """Its first payment was not authenticated in time."""
    session_id = shop.bought(PRO)["session_id"]
    subscription, _ = a_contract(shop, session_id, status="incomplete_expired")
    deaf(shop)
    session = shop.told(session_id, **UNPAID) | {"subscription": "sub_1"}
    shop.work(
        an_event("checkout.session.completed", session),
        an_event("customer.subscription.updated", subscription, previous={"status": "incomplete"}),
    )
    assert seen(shop, session_id) == ("failed", 0, "sub_1")


def test_a_trial_is_complete_with_the_tokens_of_the_trial(shop: Shop) -> None:
    """Its first invoice is paid with nothing."""
    session_id = shop.bought(TRIED)["session_id"]
    trial = {"status": "trialing", "trial_start": 1_700_000_000, "trial_end": 1_702_592_000}
    subscription, invoice = a_contract(shop, session_id, **trial)
    line = a_line(0, "price_5", metadata=subscription["metadata"])
    invoice["lines"]["data"] = [line]
    invoice |= {"amount_due": 0, "amount_paid": 0, "total": 0}
    done = shop.told(session_id, status="complete", payment_status="no_payment_required")
    shop.work(
        an_event("checkout.session.completed", done | {"subscription": "sub_1", "invoice": "in_1"}),
        an_event("customer.subscription.created", subscription),
        an_event("invoice.paid", invoice),
    )
    assert seen(shop, session_id) == ("complete", 50, "sub_1")


def test_a_renewal_does_not_count_as_what_the_session_brought(shop: Shop) -> None:
    """Only the invoice that started the subscription does."""
    session_id = shop.bought(PRO)["session_id"]
    subscription, invoice = a_contract(shop, session_id)
    session = shop.told(session_id, **PAID) | {"subscription": "sub_1", "invoice": "in_1"}
    lines = {"object": "list", "data": [a_line(5_800, quantity=2)], "has_more": False}
    renewal = invoice | {"id": "in_0", "billing_reason": "subscription_cycle", "lines": lines}
    shop.work(
        an_event("checkout.session.completed", session),
        an_event("customer.subscription.created", subscription),
        an_event("invoice.paid", renewal),
    )
    shop.work(an_event("invoice.paid", invoice | {"created": 1_700_000_500}))
    assert seen(shop, session_id) == ("complete", 10_000, "sub_1")
    assert balances(shop.context.engine) == {"user_1": 30_000}


def test_a_payment_that_went_to_another_user_is_not_complete(shop: Shop) -> None:
    """Somebody changed the metadata at Stripe: the tokens are not the caller's."""
    session_id = shop.bought(PACKAGE)["session_id"]
    theirs = {"user_id": "user_2", "plan_id": "4"}
    deaf(shop)
    session = shop.told(session_id, **PAID, metadata=theirs, client_reference_id="user_2")
    shop.work(an_event("checkout.session.completed", session))
    assert balances(shop.context.engine) == {"user_2": 1_000}
    assert seen(shop, session_id) == ("processing", 0, None)


@pytest.mark.parametrize("session_id", ["cs_none", "in_1", "cs_%00", "cs_'", "x" * 300])
def test_what_is_no_session_of_the_caller_is_not_found(shop: Shop, session_id: str) -> None:
    """Nobody learns of other people's sessions."""
    assert problem(shop.status(session_id)) == (404, "session_not_found")


def test_another_users_session_is_not_found(shop: Shop) -> None:
    """Neither one of ours, nor one that events told of."""
    ours = shop.bought(PACKAGE)["session_id"]
    shop.work(an_event("checkout.session.completed", a_session(id="cs_theirs")))
    for session_id in (ours, "cs_theirs"):
        assert problem(shop.status(session_id, "user_2")) == (404, "session_not_found")
        assert shop.status(session_id).status_code == 200


def test_a_session_made_elsewhere_is_told_of_by_its_events(shop: Shop) -> None:
    """Of the same user, sold by another program."""
    shop.work(an_event("checkout.session.completed", a_session(id="cs_theirs")))
    assert seen(shop, "cs_theirs") == ("complete", 1_000, None)
