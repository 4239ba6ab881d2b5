"""Each kind of question: what Stripe is asked, and its answer as events.

The answers become events and are stored and applied like any other, so replays and audits need no
network. Nothing here runs inside a transaction. Every function may raise `StripeUnavailable`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from db.questions.questions import Kind
from domain.json_values import text_of
from domain.synthetic_events import answers
from domain.synthetic_events.answers import Json
from stripe_gateway import StripeGateway
from workers.questions.fetch import answer_time, with_whole_list

_CHARGES = ("ch_", "py_")


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of Stripe: as events, the oldest first, and as a sentence for people."""

    events: tuple[Json, ...]
    says: str


def ask(
    kind: Kind, subject_id: str, gateway: StripeGateway, newest_report: int | None = None
) -> Answered:
    """Ask one question. `newest_report` is the time of the newest report of a subscription."""
    if kind is Kind.SUBSCRIPTION:
        return _subscription(subject_id, gateway, newest_report)
    return _ASK[kind](subject_id, gateway)


def _subscription(
    subscription_id: str, gateway: StripeGateway, newest_report: int | None
) -> Answered:
    """The subscription as it is now, with all its items."""
    subscription = gateway.subscription(subscription_id)
    created = answer_time(subscription.answered_created, newest_report)
    whole = with_whole_list(subscription, gateway)
    event = answers.as_event(
        "customer.subscription.updated",
        whole,
        event_id=f"{subscription_id}_{created}",
        created=created,
        api_version=gateway.api_version,
    )
    return Answered((event,), f"Stripe says that it is {subscription.get('status')}")


def _line_items(session_id: str, gateway: StripeGateway) -> Answered:
    """A checkout session with everything that was bought in it."""
    session = gateway.checkout_session(session_id, expand=("line_items",))
    event = answers.event_of_line_items(
        with_whole_list(session, gateway), session.answered_created, gateway.api_version
    )
    if event is None:
        return Answered((), f"Stripe says that the session is {session.get('status')}")
    return Answered((event,), "Stripe told all line items")


def _invoice_lines(invoice_id: str, gateway: StripeGateway) -> Answered:
    """An invoice with all its lines; only `payments` tells which intent paid it."""
    invoice = gateway.invoice(invoice_id, expand=("payments",))
    event = answers.event_of_whole_invoice(
        with_whole_list(invoice, gateway), invoice.answered_created, gateway.api_version
    )
    return Answered((event,), f"Stripe told all lines; the invoice is {invoice.get('status')}")


def _payment_of(subject_id: str, gateway: StripeGateway) -> Answered:
    """What an intent or a charge paid: an invoice, or a checkout session."""
    events: list[Json] = []
    intent_id = subject_id
    if subject_id.startswith(_CHARGES):
        charge = gateway.charge(subject_id)
        of_charge = text_of(charge.get("payment_intent"))
        if of_charge is None:
            return Answered((), f"Stripe names no payment intent of {subject_id}")
        intent_id = of_charge
        events.append(answers.event_of_charge(charge, charge.answered_created, gateway.api_version))
    links = [
        answers.event_of_invoice_payment(
            invoice_payment, invoice_payment.answered_created, gateway.api_version
        )
        for invoice_payment in gateway.invoice_payments_of(intent_id)
        if invoice_payment.get("status") in ("paid", None) and text_of(invoice_payment.get("id"))
    ]
    if links:
        return Answered((*events, *links), f"Stripe names {len(links)} invoice(s) of {intent_id}")
    for session in gateway.checkout_sessions_of_intent(intent_id):
        events.extend(answers.events_of_session(session, gateway.api_version))
    what = "a checkout session" if _has_session(events) else "no invoice and no checkout session"
    return Answered(tuple(events), f"Stripe names {what} of {intent_id}")


def _has_session(events: list[Json]) -> bool:
    return any(str(event["type"]).startswith("checkout.session") for event in events)


_ASK: Mapping[Kind, Callable[[str, StripeGateway], Answered]] = {
    Kind.LINE_ITEMS: _line_items,
    Kind.INVOICE_LINES: _invoice_lines,
    Kind.PAYMENT_OF: _payment_of,
}
