"""What the account itself knows of a year: how many of each thing, and how much money."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.simulate.contract_records import Customer, Price, Subscription
from sandbox.simulate.money_records import Charge, Dispute, Intent, Refund
from sandbox.simulate.records import CreditNote, HostedSession, Invoice
from sandbox.stripe.billing.rates import Rate
from sandbox.stripe.billing.schedules import Schedule
from sandbox.stripe.goods import Product
from sandbox.stripe.offers import Offer
from sandbox.stripe.paying.setups import Setup
from sandbox.stripe.world import World

KINDS: Mapping[str, type] = {
    "charges": Charge,
    "coupons": Offer,
    "credit_notes": CreditNote,
    "disputes": Dispute,
    "invoices": Invoice,
    "payment_intents": Intent,
    "prices": Price,
    "products": Product,
    "refunds": Refund,
    "sessions": HostedSession,
    "setup_intents": Setup,
    "subscription_schedules": Schedule,
    "subscriptions": Subscription,
    "tax_rates": Rate,
}


@dataclass(frozen=True, slots=True)
class Books:
    """Counts by what Stripe calls a collection, and sums in minor units, whatever currency."""

    counts: Mapping[str, int]
    paid: int
    charged: int
    refunded: int
    events: int


def books_of(world: World) -> Books:
    """Add up an account's own records."""
    with world.reading() as shop:
        counts = {name: len(list(shop.every(kind))) for name, kind in KINDS.items()}
        buyers = [one for one in shop.every(Customer) if one.announced and not one.guest]
        charges = [one for one in shop.every(Charge) if one.status == "succeeded"]
        return Books(
            counts={**counts, "customers": len(buyers)},
            paid=sum(one.amount_paid for one in shop.every(Invoice)),
            charged=sum(one.intent.amount for one in charges),
            refunded=sum(one.amount for one in shop.every(Refund)),
            events=len(world.log.posted),
        )
