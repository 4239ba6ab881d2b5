"""Checkout sessions: who bought what, and for one-time purchases whether it is paid."""

from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.json_values import (
    decimal_quantity_of,
    integer_of,
    list_of,
    mapping_of,
    reference_of,
    text_of,
)
from domain.payments.details import PAYMENT_STATUS_RANK, SESSION_RANK, SessionDetails, SessionLine
from domain.payments.objects import Kind, MoneyObject
from domain.payments.sold import Sold
from domain.subscriptions.versions import Subscription


def session(source: Source) -> list[Fact]:
    """A session with its links to intent, invoice and subscription."""
    session_id = source.required_id()
    invoice_id, intent_id = source.reference("invoice"), source.reference("payment_intent")
    mode = source.required_text("mode")
    fact = MoneyObject(
        id=session_id,
        kind=Kind.SESSION,
        parents=frozenset({invoice_id} if invoice_id else ()),
        customer_id=source.customer_id,
        subscription_id=source.reference("subscription"),
        claim=source.user_claim,
        created=source.created(),
        session=_details(source, is_one_time=mode == "payment"),
    )
    facts: list[Fact] = [*source.customer_link(), fact]
    if intent_id:
        facts.append(MoneyObject(intent_id, Kind.INTENT, parents=frozenset({session_id})))
    if invoice_id:
        facts.append(MoneyObject(invoice_id, Kind.INVOICE))
    if fact.subscription_id:
        plan_id = source.own_plan_id()
        sold = Sold() if plan_id is None else Sold(claims={plan_id: source.event.stamp})
        facts.append(Subscription(fact.subscription_id, fact.customer_id, sold))
    return facts


def failed_session(source: Source) -> list[Fact]:
    """A session whose delayed payment failed."""
    return [
        fact._replace(session=fact.session._replace(has_failed=True))
        if isinstance(fact, MoneyObject) and fact.session
        else fact
        for fact in session(source)
    ]


def _details(source: Source, *, is_one_time: bool) -> SessionDetails:
    default = "complete" if source.event.type != "checkout.session.expired" else "expired"
    plan_id = source.own_plan_id()
    return SessionDetails(
        is_one_time=is_one_time,
        # Sessions made before 2021 carry no status; the event's type tells.
        rank=source.rank("status", SESSION_RANK, default),
        payment_rank=source.rank("payment_status", PAYMENT_STATUS_RANK, "unpaid"),
        currency=(text_of(source.object.get("currency")) or "").lower(),
        amount_total_minor=source.amount("amount_total"),
        plan_id=plan_id,
        amount_subtotal_minor=integer_of(source.object.get("amount_subtotal")),
        lines=_lines(source),
        named={} if plan_id is None else {plan_id: source.event.created},
    )


def _lines(source: Source) -> tuple[SessionLine, ...] | None:
    """The line items of a session that was asked for with them; a list that is cut says nothing."""
    listed = mapping_of(source.object.get("line_items"))
    if not isinstance(listed.get("data"), list) or listed.get("has_more") is True:
        return None
    return tuple(
        SessionLine(reference_of(line.get("price")), decimal_quantity_of(line))
        for line in list_of(listed)
    )
