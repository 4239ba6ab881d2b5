"""What an event says, in a sentence. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import orjson
from sqlalchemy import Row

from db.bodies import decompress
from domain.catalogue.plans import Catalogue
from domain.decode import decode, parse
from domain.decode.facts import Fact
from domain.events import Event
from domain.json_values import integer_of, mapping_of, reference_of, text_of, time_of
from domain.money import money
from domain.payments.credit_notes import CreditNote
from domain.payments.derivation import Cluster
from domain.payments.line_plans import Invoiced
from domain.payments.lines import Line
from domain.payments.objects import MoneyObject
from domain.payments.reversals import Dispute, Refund
from domain.payments.sold import Sold
from domain.subscriptions.states import state_of
from domain.subscriptions.versions import Subscription
from domain.synthetic_events import by_hand
from telling import in_one_line

# What is said of each type; the words in braces are those of `_words`.
SENTENCES: Mapping[str, str] = {
    "checkout.session.completed": "checkout {id} was completed: {amount}, {payment_status}{what}",
    "checkout.session.async_payment_succeeded": "money of checkout {id} arrived: {amount}{what}",
    "checkout.session.async_payment_failed": "money of checkout {id} did not come: {amount}",
    "checkout.session.expired": "checkout {id} expired",
    "customer.subscription.created": "subscription {id} began and is {status}{what}",
    "customer.subscription.updated": "subscription {id} is {status}{what}{ending}",
    "customer.subscription.deleted": "subscription {id} ended",
    "customer.subscription.paused": "subscription {id} is {status}",
    "customer.subscription.resumed": "subscription {id} goes on and is {status}{what}",
    "customer.subscription.trial_will_end": "the trial of subscription {id} ends on {trial_end}",
    "customer.subscription.pending_update_applied": "subscription {id} is {status}{what}",
    "customer.subscription.pending_update_expired": "a change of subscription {id} was not paid",
    "invoice.paid": "invoice {id} was paid: {amount}{what}",
    "invoice.payment_failed": "an attempt to collect {amount} for invoice {id} failed",
    "invoice.payment_action_required": "the buyer must confirm {amount} for invoice {id}",
    "invoice.payment_succeeded": "invoice {id} was paid: {amount}{what}",
    "invoice.voided": "invoice {id} over {amount} was withdrawn",
    "invoice.marked_uncollectible": "invoice {id} over {amount} was given up",
    "invoice_payment.paid": "{payer} paid {amount} of invoice {invoice}",
    "payment_intent.succeeded": "payment {id} collected {amount}",
    "payment_intent.payment_failed": "an attempt to collect {amount} by payment {id} failed",
    "charge.refunded": "charge {id} has given back {amount} in all",
    "charge.refund.updated": "refund {id} of {amount} is {status}",
    "refund.created": "refund {id} of {amount} began and is {status}",
    "refund.updated": "refund {id} of {amount} is {status}",
    "refund.failed": "refund {id} of {amount} failed",
    "credit_note.created": "credit note {id} lowered invoice {invoice} by {amount}",
    "credit_note.updated": "credit note {id} over {amount} is {status}",
    "credit_note.voided": "credit note {id} over {amount} was withdrawn",
    "charge.dispute.created": "dispute {id} over {amount} was opened and is {status}",
    "charge.dispute.updated": "dispute {id} over {amount} is {status}",
    "charge.dispute.closed": "dispute {id} over {amount} was closed: {status}",
    "charge.dispute.funds_withdrawn": "dispute {id} took {amount}",
    "charge.dispute.funds_reinstated": "dispute {id} gave {amount} back",
    "customer.created": "customer {id} was made",
    "customer.updated": "customer {id} was changed",
    "customer.deleted": "customer {id} was deleted",
}

# The same of what people said by hand.
OWN_SENTENCES: Mapping[str, str] = {
    by_hand.ADJUSTED: "{by} corrected the balance by {tokens} tokens: {why}",
    by_hand.ASSIGNED: "{by} gave {payment} to {whom}: {why}",
}

# Where an object has its amount, by the beginning of the event's type; the first that fits.
_AMOUNTS = (
    ("checkout.", "amount_total"),
    ("invoice.paid", "amount_paid"),
    ("invoice.payment_succeeded", "amount_paid"),
    ("invoice_payment.", "amount_paid"),
    ("invoice.", "amount_due"),
    ("payment_intent.succeeded", "amount_received"),
    ("charge.refunded", "amount_refunded"),
    ("", "amount"),
)


@dataclass(frozen=True, slots=True)
class Saying:
    """An event in a sentence, and the facts it carries."""

    text: str
    facts: Sequence[Fact]


def per(period: str | None) -> str:
    """How often an amount is paid, after it: ` a month`, ` every 3 month`, nothing for once."""
    if period is None:
        return ""
    return f" every {period}" if period[0].isdigit() else f" a {period}"


def said(row: Row[Any], catalogue: Catalogue) -> Saying:
    """What a stored event says; one that cannot be read is said to be so."""
    try:
        event = parse(orjson.loads(decompress(bytes(row.body))))
        facts = decode(event).facts
    except Exception as error:  # noqa: BLE001 - whatever is stored, the rest must be told.
        return Saying(f"cannot be read: {in_one_line(error)}", ())
    sentence = SENTENCES.get(event.type) or OWN_SENTENCES.get(event.type)
    if sentence is None:
        return Saying(f"about {text_of(event.object.get('id')) or 'something'}; not handled", facts)
    return Saying(sentence.format_map(_words(event, facts, catalogue)), facts)


def money_in(stored: object) -> set[str]:
    """The money objects that a stored event tells of; none where it cannot be read."""
    try:
        facts = decode(parse(stored)).facts
    except Exception:  # noqa: BLE001 - as above.
        return set()
    own = {fact.id for fact in facts if isinstance(fact, MoneyObject)}
    return own | {
        fact.target_id for fact in facts if isinstance(fact, Refund | Dispute | CreditNote)
    }


def _words(event: Event, facts: Sequence[Fact], catalogue: Catalogue) -> dict[str, str]:
    stripe_object = event.object
    key = next(key for start, key in _AMOUNTS if event.type.startswith(start))
    payment = mapping_of(stripe_object.get("payment"))
    payer = reference_of(payment.get("payment_intent")) or reference_of(payment.get("charge"))
    what = _what(facts, catalogue)
    return {
        "id": text_of(stripe_object.get("id")) or "without an id",
        "amount": money(
            integer_of(stripe_object.get(key)) or 0,
            (text_of(stripe_object.get("currency")) or "").lower(),
        ),
        "status": text_of(stripe_object.get("status")) or "in no known status",
        "payment_status": (text_of(stripe_object.get("payment_status")) or "unpaid").replace(
            "_", " "
        ),
        "invoice": reference_of(stripe_object.get("invoice")) or "unknown",
        "payer": f"payment {payer}" if payer else "money from outside Stripe",
        "what": f" for {what}" if what else "",
        "trial_end": _day(stripe_object.get("trial_end")),
        "ending": _ending(stripe_object),
        **_words_of_people(stripe_object),
    }


def _words_of_people(stripe_object: Mapping[str, Any]) -> dict[str, str]:
    user_id = text_of(stripe_object.get("user_id"))
    plan_id = integer_of(stripe_object.get("plan_id"))
    named = (user_id and f"user {user_id}", None if plan_id is None else f"plan {plan_id}")
    return {
        "by": text_of(stripe_object.get("by")) or "somebody",
        "tokens": f"{integer_of(stripe_object.get('amount')) or 0:+,}",
        "payment": reference_of(stripe_object.get("payment")) or "a payment",
        "whom": " and ".join(filter(None, named)),
        "why": text_of(stripe_object.get("reason")) or "no reason was given",
    }


def _ending(subscription: Mapping[str, Any]) -> str:
    if subscription.get("cancel_at_period_end") is True:
        return ", to end with its period"
    cancel_at = subscription.get("cancel_at")
    return f", to end on {_day(cancel_at)}" if time_of(cancel_at) else ""


def _day(value: object) -> str:
    seconds = time_of(value)
    return (
        "a day unknown" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    )


def _what(facts: Sequence[Fact], catalogue: Catalogue) -> str:
    for fact in facts:
        if isinstance(fact, Subscription) and fact.versions:
            return _subscribed(fact, catalogue)
        if isinstance(fact, MoneyObject) and (fact.invoice or fact.session):
            return _of_object(fact, Sold(), catalogue)
    return ""


def _subscribed(subscription: Subscription, catalogue: Catalogue) -> str:
    version = subscription.versions[0]
    claimed = subscription.plan_claim.plan_id if subscription.plan_claim else None
    names = []
    for item in state_of(version).items:
        plan = catalogue.by_price(item.price_id) or catalogue.by_id(claimed, version.created)
        names.append(_times(item.quantity, plan.name if plan else None))
    return ", ".join(names)


def bought(cluster: Cluster, catalogue: Catalogue) -> str:
    """What a payment was for: quantities and names of plans."""
    members = sorted(cluster.members, key=lambda member: member.id != cluster.root_id)
    by_person = [member.assigned_plan for member in members if member.assigned_plan]
    if by_person and (plan := catalogue.current(int(max(by_person).value))):
        return f"{plan.name}, as a person said"
    descriptions = (_of_object(member, cluster.sold, catalogue) for member in members)
    return next((what for what in descriptions if what), "")


def _of_object(paid: MoneyObject, sold: Sold, catalogue: Catalogue) -> str:
    created = paid.created or 0
    if paid.session and paid.session.plan_id is not None:
        plan = catalogue.by_id(paid.session.plan_id, created)
        return _times(1, plan.name if plan else None)
    if paid.invoice is None:
        return ""
    invoiced = Invoiced(paid.invoice.lines, paid.invoice.currency, created, catalogue, sold)
    return ", ".join(_line(line, invoiced) for line in invoiced.lines)


def _line(line: Line, invoiced: Invoiced) -> str:
    plan = invoiced.plan_of(line).plan
    description = _times(line.quantity, plan.name if plan else None)
    if line.is_proration:
        takes = line.credits or line.amount_minor < 0
        return f"{description} ({'credit for' if takes else 'for'} a part of the period)"
    return description


def _times(quantity: int | Fraction, name: str | None) -> str:
    shown = f"{quantity:,}" if isinstance(quantity, int) else f"{float(quantity):,}"
    return f"{shown} \N{MULTIPLICATION SIGN} {name or 'something in no plan'}"
