"""From an event to facts: the table of every event type that means something to us.

A type that is not in `DECODERS` is stored as `ignored`. A new event type is one decoder, one
line here, one fixture and one test.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from domain.decode import (
    adjustments,
    assignments,
    credit_notes,
    customers,
    invoices,
    notices,
    paths,
    payments,
    sessions,
    subscriptions,
    version_check,
)
from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.errors import DecodeError
from domain.events import Event, Notice
from domain.json_values import mapping_of, reference_of, text_of, time_of
from domain.synthetic_events import by_hand

Decoder = Callable[[Source], list[Fact]]

DECODERS: Mapping[str, Decoder] = {
    # The buyer finished the page: links user, customer, subscription, invoice; money if paid.
    "checkout.session.completed": sessions.session,
    # A delayed payment arrived, or failed.
    "checkout.session.async_payment_succeeded": sessions.session,
    "checkout.session.async_payment_failed": sessions.failed_session,
    # Nobody paid in time.
    "checkout.session.expired": sessions.session,
    # A state of the contract; never money.
    "customer.subscription.created": subscriptions.version,
    "customer.subscription.updated": subscriptions.version,
    "customer.subscription.deleted": subscriptions.version,
    "customer.subscription.paused": subscriptions.version,
    "customer.subscription.resumed": subscriptions.version,
    "customer.subscription.trial_will_end": subscriptions.version,
    "customer.subscription.pending_update_applied": subscriptions.version,
    "customer.subscription.pending_update_expired": subscriptions.version,
    # Subscription money, and attempts at it.
    "invoice.paid": invoices.paid,
    "invoice.payment_succeeded": invoices.paid,
    "invoice.payment_failed": invoices.failed,
    "invoice.payment_action_required": invoices.reported,
    "invoice.voided": invoices.reported,
    "invoice.marked_uncollectible": invoices.reported,
    # Since 2025-05-28 the only event that says which intent paid which invoice.
    "invoice_payment.paid": invoices.invoice_payment,
    # One intent collected money, or an attempt at it failed. Never grants by itself.
    "payment_intent.succeeded": payments.intent,
    "payment_intent.payment_failed": payments.failed_intent,
    # Money going back: cumulative on the charge (old API versions), by id on refunds.
    "charge.refunded": payments.refunded_charge,
    "charge.refund.updated": payments.refund,
    "refund.created": payments.refund,
    "refund.updated": payments.refund,
    "refund.failed": payments.refund,
    # An invoice made smaller, before it was paid or after.
    "credit_note.created": credit_notes.credit_note,
    "credit_note.updated": credit_notes.credit_note,
    "credit_note.voided": credit_notes.credit_note,
    # The bank contests; only the funds events move money.
    "charge.dispute.created": payments.dispute,
    "charge.dispute.updated": payments.dispute,
    "charge.dispute.closed": payments.dispute,
    "charge.dispute.funds_withdrawn": payments.dispute,
    "charge.dispute.funds_reinstated": payments.dispute,
    # Who the customer is.
    "customer.created": customers.customer,
    "customer.updated": customers.customer,
    "customer.deleted": customers.deleted_customer,
}

# What people say by hand: events of ours, which Stripe never sends and nobody enables there.
OWN_DECODERS: Mapping[str, Decoder] = {
    by_hand.ADJUSTED: adjustments.adjustment,
    by_hand.ASSIGNED: assignments.assignment,
}


class Decoded(NamedTuple):
    """What an event says, and for the inbox: whom and what it is about.

    `object_id` is the object of the event; for one that only links an invoice, that invoice.
    `is_cut`: a list in the object must be completed before the event says all it has to say.
    """

    facts: tuple[Fact, ...]
    object_id: str | None
    customer_id: str | None
    user_id: str | None
    note: str | None
    is_handled: bool
    is_cut: bool


def parse(document: Any) -> Event:  # noqa: ANN401 - parsed JSON may be anything.
    """Read the envelope of an event from parsed JSON.

    Raises `DecodeError` when what every event has is missing.
    """
    envelope = mapping_of(document)
    event_id, event_type = text_of(envelope.get("id")), text_of(envelope.get("type"))
    created = time_of(envelope.get("created"))
    data = mapping_of(envelope.get("data"))
    if event_id is None or event_type is None or created is None:
        raise DecodeError("The event lacks one of id, type and created.")
    livemode = envelope.get("livemode")
    # By place: to name its fields costs as much again as to make it.
    return Event(
        event_id,
        event_type,
        created,
        text_of(envelope.get("api_version")) or "",
        livemode if isinstance(livemode, bool) else None,
        mapping_of(data.get("object")),
        mapping_of(data.get("previous_attributes")),
        _account(envelope),
    )


def _account(envelope: Mapping[str, Any]) -> str | None:
    """The account that an event names; one that cannot be read is somebody's all the same."""
    named = envelope.get("account") or envelope.get("context")
    if not named:
        return None
    # A context may be a path through an organisation; its end is the account.
    return (reference_of(named) or "unreadable").rpartition("/")[2]


def notice_of(document: Any) -> Notice | None:  # noqa: ANN401 - parsed JSON may be anything.
    """The thin event that a parsed body is; None for a snapshot event.

    Raises `DecodeError` when what every event has is missing.
    """
    if not notices.is_thin(document):
        return None
    return notices.read(document, _account(document))


def ignorance(notice: Notice) -> str | None:
    """Why Stripe need not be asked what a thin event speaks of; None where it must be."""
    if notice.type == notices.PING:
        return "a ping: this is where the destination's events arrive"
    if notice.type == notices.GENERATION_FAILED:
        return None
    if notice.type not in DECODERS:
        return f"thin events of type {notice.type} mean nothing here"
    if notice.object_id is None or notice.path is None:
        return "it names no object that could be asked for"
    return None


def decode(event: Event) -> Decoded:
    """What an event says, as facts; none for a type that is not handled.

    Raises `DecodeError` when the object lacks what its type must carry.
    """
    source = Source(event)
    if by_hand.is_by_hand(event.id):
        return _by_hand(source)
    decoder = DECODERS.get(event.type)
    facts = tuple(decoder(source)) if decoder else ()
    if decoder and (odd := version_check.doubt(event)):
        source.note(odd)
    claim = source.user_claim
    return Decoded(
        facts,
        _object_id(source),
        source.customer_id,
        claim.user_id if claim else None,
        "; ".join(source.notes) or None,
        decoder is not None,
        source.is_cut,
    )


def _by_hand(source: Source) -> Decoded:
    """An event of ours; only one that bears our id may have such a type."""
    decoder = OWN_DECODERS.get(source.event.type)
    return Decoded(
        facts=tuple(decoder(source)) if decoder else (),
        # An assignment is found by what it is about.
        object_id=source.reference("payment") or text_of(source.object.get("id")),
        customer_id=None,
        user_id=text_of(source.object.get("user_id")),
        note="; ".join(source.notes) or None,
        is_handled=decoder is not None,
        is_cut=False,
    )


def _object_id(source: Source) -> str | None:
    """What the inbox finds the event by; a link between two objects is told of the invoice."""
    kind = source.object.get("object")
    if kind == "invoice_payment":
        return source.reference("invoice")
    if kind == "payment_assignment":
        return source.reference("payment")
    return text_of(source.object.get("id"))


__all__ = [
    "DECODERS",
    "OWN_DECODERS",
    "Decoded",
    "Fact",
    "decode",
    "facts",
    "ignorance",
    "notice_of",
    "notices",
    "parse",
    "paths",
    "version_check",
]
