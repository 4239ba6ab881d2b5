"""Checkout sessions: who bought what, and for one-time purchases whether it is paid."""

from dataclasses import replace

from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.payments import (
    PAYMENT_STATUS_RANK,
    SESSION_RANK,
    Kind,
    MoneyObject,
    SessionDetails,
)
from domain.reading import mapping_of, text_of
from domain.subscriptions import Subscription


def session(source: Source) -> list[Fact]:
    """A session with its links to intent, invoice and subscription."""
    session_id = source.required_id()
    invoice_id, intent_id = source.reference("invoice"), source.reference("payment_intent")
    mode = source.required_text("mode")
    found = MoneyObject(
        id=session_id,
        kind=Kind.SESSION,
        parents=frozenset({invoice_id} if invoice_id else ()),
        customer_id=source.customer_id(),
        subscription_id=source.reference("subscription"),
        claim=source.user_claim,
        created=source.created(),
        session=_details(source, is_one_time=mode == "payment"),
    )
    facts: list[Fact] = [*source.customer_link(), found]
    if intent_id:
        facts.append(MoneyObject(intent_id, Kind.INTENT, parents=frozenset({session_id})))
    if invoice_id:
        facts.append(MoneyObject(invoice_id, Kind.INVOICE))
    if found.subscription_id:
        facts.append(
            Subscription(found.subscription_id, found.customer_id, plan_claim=source.plan_claim())
        )
    return facts


def failed_session(source: Source) -> list[Fact]:
    """A session whose delayed payment failed."""
    return [
        replace(fact, session=replace(fact.session, has_failed=True))
        if isinstance(fact, MoneyObject) and fact.session
        else fact
        for fact in session(source)
    ]


def _details(source: Source, *, is_one_time: bool) -> SessionDetails:
    default = "complete" if source.event.type != "checkout.session.expired" else "expired"
    return SessionDetails(
        is_one_time=is_one_time,
        # Sessions made before 2021 carry no status; the event's type tells.
        rank=source.rank("status", SESSION_RANK, default),
        payment_rank=source.rank("payment_status", PAYMENT_STATUS_RANK, "unpaid"),
        currency=(text_of(source.object.get("currency")) or "").lower(),
        amount_total_minor=source.amount("amount_total"),
        plan_id=source.plan_id(mapping_of(source.object.get("metadata"))),
    )
