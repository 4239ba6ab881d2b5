"""What hangs in the air is counted by kind, and no longer once its link has come."""

import pytest
from sqlalchemy import Engine

from db.operations import loose_ends
from tests.pipeline import a_worker_context, empty, sell, work
from tests.play import CATALOGUE
from tests.stripe_objects import (
    a_line,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
    an_invoice_payment,
)
from workers.context import WorkerContext


@pytest.fixture
def context(database_url: str, redis_url: str) -> WorkerContext:
    """A worker on the test engines, with the plans of the tests."""
    made = a_worker_context(database_url, redis_url)
    empty(made.engine)
    sell(made.engine, CATALOGUE)
    return made


def counted(engine: Engine) -> dict[str, int]:
    """The kinds of which there is any."""
    with engine.connect() as connection:
        return {kind: number for kind, number in loose_ends.counts(connection).items() if number}


def test_money_back_without_a_payment_is_counted_until_its_link_comes(
    context: WorkerContext,
) -> None:
    """At API version 2025-03-31 neither refund nor intent names the invoice."""
    invoice = an_invoice([a_line(2_900)], metadata={"user_id": "user_1"})
    paid = an_event("invoice.paid", invoice)
    work(context, [paid, an_event("refund.created", a_refund(amount=2_900))])
    assert counted(context.engine) == {"money_back": 1}
    work(context, [an_event("invoice_payment.paid", an_invoice_payment("in_1", "pi_1"))])
    assert counted(context.engine) == {}


def test_a_collected_intent_is_counted_until_a_payment_claims_it(context: WorkerContext) -> None:
    """The session usually follows within seconds."""
    work(context, [an_event("payment_intent.succeeded", an_intent())])
    assert counted(context.engine) == {"unclaimed_intent": 1}
    work(context, [an_event("checkout.session.completed", a_session())])
    assert counted(context.engine) == {}


def test_what_lacks_a_user_a_plan_or_lines_is_counted(context: WorkerContext) -> None:
    """One payment may lack several; a cut list of items leaves a subscription undecided."""
    nobody = an_invoice([a_line(2_900)], customer="cus_x")
    unknown = an_invoice(
        [a_line(1, "price_x", subscription=None)], id="in_2", metadata={"user_id": "user_1"}
    )
    cut = an_invoice([a_line(2_900)], id="in_3", metadata={"user_id": "user_1"})
    cut["lines"]["has_more"] = True
    items = a_subscription()
    items["items"]["has_more"] = True
    work(
        context,
        [
            *(an_event("invoice.paid", invoice) for invoice in (nobody, unknown, cut)),
            an_event("customer.subscription.updated", items),
        ],
    )
    assert counted(context.engine) == {
        "no_user": 1,
        "no_plan": 2,
        "cut_list": 1,
        "undecided_subscription": 1,
    }
