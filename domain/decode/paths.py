"""The path contract: every path that decoders read of a Stripe object, once, with its meaning.

A reading is one thing that is wanted of an object, and where it stands: in one place in every
version of Stripe's API, or in one place until a version and in another one since. Tests hold the
table to what decoders read and to what each release of Stripe's SDK has; `doctor --api-version`
answers by it. `[]` stands for every entry of a list.
"""

from collections.abc import Mapping
from typing import NamedTuple

from domain.decode.steady_paths import STEADY

# The versions that the table was held to, by the dates in their names.
OLDEST, NEWEST = "2024-06-20", "2026-10-28"

_BASIL, _ACCOUNTS, _DECIMALS = "2025-03-31", "2025-12-15", "2026-03-25"
_RECORDS = "2025-10-29"


class Place(NamedTuple):
    """A path, and from which version on it is there, up to which one it is not; "" for no end."""

    path: str
    since: str = ""
    until: str = ""

    def is_in(self, date: str) -> bool:
        """Whether a version of this date has it."""
        return self.since <= date and (not self.until or date < self.until)


class Reading(NamedTuple):
    """One thing that is wanted of an object of a kind.

    The first of its `places` that has a value counts. `without` says what tells it in versions
    that have none of them; where it is empty the thing cannot be done without.
    """

    kind: str
    means: str
    places: tuple[Place, ...]
    without: str = ""


def in_version(date: str) -> list[tuple[Reading, list[Place]]]:
    """Every reading with those of its places that a version has."""
    return [
        (reading, [place for place in reading.places if place.is_in(date)]) for reading in READINGS
    ]


_DETAILS = "parent.subscription_details"
_ITEM, _EXTRA = (f"lines.data[].parent.{kind}_item_details" for kind in ("subscription", "invoice"))
_NO_RECORD = "money from outside Stripe is not reported"
_ASKED_FOR = "Stripe is asked which payment an invoice has"
_ASKED = "the subscription's own reports tell"


def _until(path: str, version: str = _BASIL) -> Place:
    return Place(path, until=version)


def _since(path: str, version: str = _BASIL) -> Place:
    return Place(path, since=version)


# What moved, came or went.
_MOVED: tuple[Reading, ...] = (
    Reading(
        "invoice",
        "its subscription",
        (_since(f"{_DETAILS}.subscription"), _until("subscription")),
    ),
    Reading(
        "invoice",
        "the subscription's metadata: user and plan",
        (_since(f"{_DETAILS}.metadata"), _until("subscription_details.metadata")),
    ),
    Reading(
        "invoice",
        "what paid it",
        (
            *(_until("payment_intent"), _until("charge")),
            *(
                _since("payments.data[].payment.payment_intent"),
                _since("payments.data[].payment.charge"),
            ),
        ),
    ),
    Reading(
        "invoice",
        "a line's price",
        (
            _since("lines.data[].pricing.price_details.price"),
            *(_until("lines.data[].price.id"), _until("lines.data[].plan.id")),
        ),
    ),
    Reading(
        "invoice",
        "what one unit of a line costs",
        (
            *(_until("lines.data[].price.unit_amount"), _until("lines.data[].plan.amount")),
            _since("lines.data[].pricing.unit_amount_decimal"),
        ),
    ),
    Reading(
        "invoice",
        "whether a line is charged by use",
        (
            _until("lines.data[].price.recurring.usage_type"),
            _until("lines.data[].plan.usage_type"),
        ),
        without=_ASKED,
    ),
    Reading(
        "invoice",
        "a line's subscription item",
        (_since(f"{_ITEM}.subscription_item"), _until("lines.data[].subscription_item")),
    ),
    Reading(
        "invoice",
        "whether a line is of a subscription",
        (_since(f"{_EXTRA}.subscription"), _until("lines.data[].type")),
    ),
    Reading(
        "invoice",
        "whether a line is a proration",
        (
            _since(f"{_ITEM}.proration"),
            _since(f"{_EXTRA}.proration"),
            _until("lines.data[].proration"),
        ),
    ),
    Reading(
        "invoice",
        "whether a line takes an earlier one back",
        (
            _since(f"{_ITEM}.proration_details.credited_items"),
            _since(f"{_EXTRA}.proration_details.credited_items"),
            _until("lines.data[].proration_details.credited_items"),
        ),
    ),
    Reading(
        "invoice",
        "how many a line charges",
        (_since("lines.data[].quantity_decimal", _DECIMALS), Place("lines.data[].quantity")),
    ),
    Reading(
        "subscription",
        "when an item's period began",
        (_since("items.data[].current_period_start"), _until("current_period_start")),
    ),
    Reading(
        "subscription",
        "when an item's period ends",
        (_since("items.data[].current_period_end"), _until("current_period_end")),
    ),
    Reading(
        "credit_note",
        "the refunds that paid it out",
        (_until("refund"), _since("refunds[].refund")),
    ),
    Reading(
        "credit_note",
        "how much of it each of them is",
        (_since("refunds[].amount_refunded"),),
        without="one refund is of the whole note",
    ),
)


_BY_PAYMENTS = "an `invoice_payment.paid` names both, since 2025-05-28"
_CREATED_BY_KIND = ("checkout.session", "subscription", "invoice", "payment_intent", "credit_note")

READINGS: tuple[Reading, ...] = (
    *(
        Reading(kind, means, (Place(path),))
        for kind, meanings in STEADY.items()
        for path, means in meanings.items()
    ),
    *_MOVED,
    *(
        Reading(kind, "the invoice that it pays", (_until("invoice"),), without=_BY_PAYMENTS)
        for kind in ("payment_intent", "charge")
    ),
    *(
        Reading("invoice_payment", means, (_since(path),), without=_ASKED_FOR)
        for path, means in {
            "invoice": "the invoice that was paid",
            "payment.payment_intent": "the intent that paid it",
            "payment.charge": "the charge that paid it",
        }.items()
    ),
    *(
        Reading(
            kind, "the payment record that paid it", (_since(path, _RECORDS),), without=_NO_RECORD
        )
        for kind, path in (
            ("invoice", "payments.data[].payment.payment_record"),
            ("invoice_payment", "payment.payment_record"),
        )
    ),
    *(
        Reading(
            kind,
            "another name of the payer",
            (_since("customer_account", _ACCOUNTS),),
            without="a payer has one name",
        )
        for kind in (*_CREATED_BY_KIND, "customer")
    ),
)
# Where every object is looked at, because any may name a user or a payer: some kinds have these.
ANYWHERE = frozenset(
    {
        *("id", "object", "customer", "customer_account", "metadata", "client_reference_id"),
        *("parent.subscription_details.metadata", "subscription_details.metadata"),
        "lines.data[].metadata",
    }
)
# What is read although no class of a release has it: shapes of before `OLDEST`, and names that
# another kind has in the same place.
BESIDE: Mapping[str, frozenset[str]] = {
    "checkout.session": frozenset({"line_items.data[].quantity_decimal"}),
    "payment_intent": frozenset({"charges.data[].receipt_url"}),
    "subscription": frozenset(
        {
            # Before items there was one plan, and the subscription was its own item.
            *("plan", "price", "quantity", "items.data[].plan"),
            *("items.data[].price.amount", "items.data[].price.usage_type"),
        }
    ),
    "invoice": frozenset(
        {
            *("payment_record", "subscription_details.subscription"),
            *("lines.data[].price.amount", "lines.data[].price.usage_type", "lines.data[].plan"),
            *("lines.data[].proration_details.credited_items", f"{_EXTRA}.subscription_item"),
        }
    ),
    "refund": frozenset({"payment_record"}),
    "dispute": frozenset({"payment_record"}),
    "credit_note": frozenset({"refunds.data"}),
}
