"""What users are told of the events that applications write mails about."""

from typing import Any

from sqlalchemy import text

from tests.pipeline import work
from tests.stripe_objects import (
    a_dispute,
    a_line,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
)
from workers.context import WorkerContext

NEVER_TOLD = ("access.changed",)


def told(context: WorkerContext) -> list[tuple[str, Any]]:
    """What the user was told, in order: type and data; access has tests of its own."""
    query = text("SELECT type, data FROM outbox WHERE user_id = 'user_1' ORDER BY version")
    with context.engine.connect() as connection:
        rows = connection.execute(query).all()
        return [(row.type, row.data) for row in rows if row.type not in NEVER_TOLD]


def types(context: WorkerContext) -> list[str]:
    """The types alone."""
    return [kind for kind, _ in told(context)]


def test_a_package_is_paid_and_refunded_in_parts(context: WorkerContext) -> None:
    """The payment, whole, each time; a duplicate tells nothing more."""
    sale = an_event("checkout.session.completed", a_session())
    work(context, [sale])
    assert types(context) == ["payment.paid", "tokens.changed"]
    refund = an_event("refund.created", a_refund(amount=250))
    work(context, [refund, sale, refund])
    assert types(context)[2:] == ["payment.refunded", "tokens.changed"]
    _, payment = told(context)[2]
    assert (payment["id"], payment["status"], payment["amount_refunded"]) == (
        "cs_1",
        "partially_refunded",
        250,
    )
    assert told(context)[3][1]["balance"] == 500


def test_a_dispute_takes_everything(context: WorkerContext) -> None:
    """Low and exhausted are told with it."""
    work(context, [an_event("checkout.session.completed", a_session())])
    work(context, [an_event("charge.dispute.funds_withdrawn", a_dispute())])
    assert types(context)[2:] == [
        "payment.disputed",
        "tokens.changed",
        "tokens.low",
        "tokens.exhausted",
    ]


def test_a_failed_renewal_says_where_it_can_be_paid(context: WorkerContext) -> None:
    """And that it was paid then."""
    line = a_line(2900, price="price_pro_usd")
    metadata = {"user_id": "user_1"}
    unpaid = an_invoice([line], metadata=metadata, status="open", amount_paid=0)
    work(context, [an_event("invoice.payment_failed", unpaid)])
    kind, payment = told(context)[-1]
    assert (kind, payment["status"]) == ("payment.failed", "failed")
    assert payment["pay_url"] == "https://invoice.example/in_1"
    work(context, [an_event("invoice.paid", an_invoice([line], metadata=metadata))])
    paid = dict(told(context))["payment.paid"]
    assert (paid["status"], paid["tokens"]) == ("paid", 10_000)
    assert "pay_url" not in paid


def test_a_trial_that_ends_is_told_once(context: WorkerContext) -> None:
    """Only while it is one: not where Stripe's word comes after its end."""
    trialing = a_subscription(status="trialing", trial_end=1_700_500_000)
    created = an_event("customer.subscription.created", trialing, created=1_700_000_000)
    ends = an_event("customer.subscription.trial_will_end", trialing, created=1_700_240_000)
    work(context, [created])
    work(context, [ends, ends])
    work(context, [ends])
    assert types(context).count("trial.ending") == 1
    kind, data = told(context)[-1]
    assert (kind, data["id"], data["status"]) == ("trial.ending", "sub_1", "trialing")


def test_a_word_of_a_trial_that_is_over_is_not_told(context: WorkerContext) -> None:
    """The subscription is active by then."""
    trialing = a_subscription(status="trialing", trial_end=1_700_500_000)
    ends = an_event("customer.subscription.trial_will_end", trialing, created=1_700_240_000)
    active = a_subscription(trial_end=1_700_500_000)
    work(context, [an_event("customer.subscription.updated", active, created=1_700_500_001)])
    work(context, [ends])
    assert "trial.ending" not in types(context)
