"""Answers of Stripe as events: what was asked for enters by the same door as what was sent.

An event made here has an id that tells it from Stripe's own. Where the id and the time come from
the object's state, asking again adds nothing.
"""

from collections.abc import Mapping
from typing import Any

from domain.json_values import mapping_of, text_of, time_of

PREFIX = "fetched_"

Json = dict[str, Any]


def as_event(
    event_type: str,
    stripe_object: Mapping[str, Any],
    *,
    event_id: str,
    created: int,
    api_version: str,
) -> Json:
    """An event around an object that Stripe answered with; `created` is seconds since 1970.

    `api_version` is the version that shaped the object.
    """
    data: Json = {"object": dict(stripe_object)}
    if event_type.endswith(".updated"):
        # It tells of no change, only of the state.
        data["previous_attributes"] = {}
    return {
        "id": f"{PREFIX}{event_id}",
        "object": "event",
        "type": event_type,
        "api_version": api_version,
        "created": created,
        "livemode": stripe_object.get("livemode"),
        "data": data,
    }


def event_of_notice(
    event_type: str,
    stripe_object: Mapping[str, Any],
    *,
    noticed: int,
    answered: int,
    name: str,
    api_version: str,
) -> Json:
    """What a thin event of a type spoke of, as Stripe answered with it; times in seconds.

    Claims and movements of money happened when it was `noticed`. The state of a contract, and that
    a refund failed, are only known of the second in which Stripe `answered`. `name` tells it from
    answers to other notices of the object.
    """
    kind = text_of(stripe_object.get("object"))
    is_state = kind == "subscription" or (kind == "refund" and event_type != "refund.failed")
    if event_type == "customer.subscription.created":
        # It may have changed since; nothing says that this was the first state.
        event_type = "customer.subscription.updated"
    return as_event(
        event_type,
        stripe_object,
        event_id=f"{stripe_object.get('id')}_{name}",
        created=max(noticed, answered) if is_state else noticed,
        api_version=api_version,
    )


def event_of_line_items(session: Mapping[str, Any], created: int, api_version: str) -> Json | None:
    """A checkout session with all its line items; None while the buyer may still pay."""
    status = text_of(session.get("status"))
    if status not in _SESSION_EVENTS:
        return None
    return as_event(
        _SESSION_EVENTS[status],
        session,
        event_id=f"{session['id']}_line_items",
        created=created,
        api_version=api_version,
    )


def event_of_whole_invoice(invoice: Mapping[str, Any], created: int, api_version: str) -> Json:
    """An invoice with all its lines, as the report that its status calls for.

    Its lines may change until it is finalized, so the status is part of the event's id.
    """
    status = text_of(invoice.get("status")) or "open"
    return as_event(
        _INVOICE_EVENTS.get(status, "invoice.payment_action_required"),
        invoice,
        event_id=f"{invoice['id']}_lines_{status}",
        created=created,
        api_version=api_version,
    )


def event_of_invoice_payment(payment: Mapping[str, Any], created: int, api_version: str) -> Json:
    """Which intent paid which invoice."""
    return as_event(
        "invoice_payment.paid",
        payment,
        event_id=str(payment["id"]),
        created=created,
        api_version=api_version,
    )


def event_of_charge(charge: Mapping[str, Any], created: int, api_version: str) -> Json:
    """A charge, which names its intent; money that went back is told by refunds and disputes.

    No handled type tells of a charge alone; since 2024-10-28 this one moves no money either.
    """
    return as_event(
        "charge.refunded",
        {"amount_refunded": 0, **charge},
        event_id=f"{charge['id']}_intent",
        created=created,
        api_version=api_version,
    )


def events_of_session(session: Mapping[str, Any], api_version: str) -> list[Json]:
    """What a checkout session says that was retrieved with its subscription and invoice expanded.

    Nothing while the buyer may still pay. Every event is dated by the newest time that the
    objects themselves tell, which is Stripe's clock: what really happened later stays later.
    """
    session_id, status = text_of(session.get("id")), text_of(session.get("status"))
    if session_id is None or status not in _SESSION_EVENTS:
        return []
    parts = {key: mapping_of(session.get(key)) for key in ("subscription", "invoice")}
    folded = {key: text_of(part.get("id")) for key, part in parts.items() if part}
    created = _newest_time(session, *parts.values())

    def event(event_type: str, stripe_object: Mapping[str, Any], *state: str | None) -> Json:
        event_id = "_".join([str(stripe_object.get("id")), *(part or "" for part in state)])
        return as_event(
            event_type, stripe_object, event_id=event_id, created=created, api_version=api_version
        )

    payment_status = text_of(session.get("payment_status"))
    events = [event(_SESSION_EVENTS[status], {**session, **folded}, status, payment_status)]
    subscription, invoice = parts["subscription"], parts["invoice"]
    if text_of(subscription.get("id")):
        state = (text_of(subscription.get("status")), str(created))
        events.append(event("customer.subscription.updated", subscription, *state))
    if text_of(invoice.get("id")) and invoice.get("status") == "paid":
        events.append(event("invoice.paid", invoice, "paid"))
    return events


_SESSION_EVENTS = {
    "complete": "checkout.session.completed",
    "expired": "checkout.session.expired",
}

# An open one is told by the one type that is a report of nothing but the invoice as it is.
_INVOICE_EVENTS = {
    "paid": "invoice.paid",
    "void": "invoice.voided",
    "uncollectible": "invoice.marked_uncollectible",
}


def _newest_time(*objects: Mapping[str, Any]) -> int:
    times = [
        time_of(source.get(key))
        for stripe_object in objects
        for source, keys in (
            (stripe_object, ("created", "start_date", "canceled_at")),
            (mapping_of(stripe_object.get("status_transitions")), ("finalized_at", "paid_at")),
        )
        for key in keys
    ]
    return max((time for time in times if time is not None), default=0)
