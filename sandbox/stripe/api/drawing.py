"""Draws what an endpoint found as Stripe's JSON, with what the request wants told whole."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from sandbox.simulate.contract_records import Customer, Price, Subscription
from sandbox.simulate.credit_note_objects import credit_note_object
from sandbox.simulate.discount_objects import discount_object
from sandbox.simulate.invoice_objects import invoice_object, invoice_payment_object, line_object
from sandbox.simulate.money_records import Charge, Dispute, Intent, Refund
from sandbox.simulate.objects import (
    customer_object,
    item_object,
    price_object,
    stripe_list,
    subscription_object,
)
from sandbox.simulate.payment_objects import charge_object, intent_object
from sandbox.simulate.records import CreditNote, Invoice, Session
from sandbox.simulate.reversal_objects import dispute_object, refund_object
from sandbox.simulate.session_objects import session_object
from sandbox.simulate.versions import ApiVersion
from sandbox.stripe.agenda import Shop
from sandbox.stripe.api.balance import transaction_of
from sandbox.stripe.api.calls import Page
from sandbox.stripe.api.payment_methods import method_of
from sandbox.stripe.bills import SHOWN
from sandbox.stripe.checkouts import due_now, off_each
from sandbox.stripe.errors import invalid
from sandbox.stripe.goods import Product, Visit, product_object
from sandbox.stripe.log import Posted
from sandbox.stripe.offers import Code, Offer, code_object, offer_object

Json = dict[str, Any]
EXPANSIONS_DEPTH_MAX = 4


def _customer(customer: Customer) -> Json:
    if customer.deleted:
        return {"id": customer.id, "object": "customer", "deleted": True}
    return customer_object(customer)


def _currency_option(price: Price) -> Json:
    return {
        "custom_unit_amount": None,
        "tax_behavior": "unspecified",
        "unit_amount": price.unit_minor,
        "unit_amount_decimal": str(price.unit_minor),
    }


# What is drawn the same for everyone who asks.
_PLAIN: dict[type, Callable[[Any], Json]] = {
    Charge: charge_object,
    CreditNote: credit_note_object,
    Customer: _customer,
    Dispute: dispute_object,
    Intent: intent_object,
    Invoice: invoice_object,
    Price: price_object,
    Offer: offer_object,
    Product: product_object,
    Refund: refund_object,
    Subscription: subscription_object,
}


class Drawer:
    """Draws for one request; `base_url` is where the hosted pages are."""

    def __init__(self, shop: Shop, base_url: str, version: ApiVersion) -> None:
        self._shop = shop
        self._base_url = base_url
        self._ways: dict[type, Callable[[Any], Json]] = {
            **_PLAIN,
            Code: lambda code: code_object(code, version),
            Page: self._page,
            Posted: self._event,
            Session: self._session,
            Visit: self._visit,
        }

    def draw(self, thing: object) -> Json:
        """Draw a record, an event, a page of them, or what is drawn already."""
        if isinstance(thing, dict):
            return thing
        return self._ways[type(thing)](thing)

    def expand(self, drawn: Json, path: str) -> None:
        """Tell whole what a path such as `data.customer` names."""
        steps = path.split(".")
        if len(steps) > EXPANSIONS_DEPTH_MAX:
            raise invalid(f"You cannot expand more than 4 levels of a property: {path}", "expand")
        self._expand(drawn, steps, path)

    def _expand(self, drawn: Json, steps: Sequence[str], path: str) -> None:
        head, rest = steps[0], steps[1:]
        value = drawn.get(head)
        if isinstance(value, str):
            value = drawn[head] = self._named(value)
        elif value is None and head not in drawn:
            value = drawn[head] = self._included(drawn, head, path)
        if head == "discounts" and isinstance(value, list):
            value = drawn[head] = self._discounts(drawn, value)
        for inner in value if isinstance(value, list) else [value]:
            if rest and isinstance(inner, dict):
                self._expand(inner, rest, path)

    def _named(self, object_id: str) -> str | Json:
        """What an id names, told whole; the id itself where that is not known."""
        if object_id in self._shop.records:
            return self.draw(self._shop.records[object_id])
        if object_id.startswith("pm_"):
            return method_of(self._shop, object_id) or object_id
        if object_id.startswith("txn_"):
            return transaction_of(self._shop, object_id) or object_id
        return object_id

    def _discounts(self, drawn: Json, named: list[Any]) -> list[Any]:
        """The discounts of a contract or an invoice, told whole."""
        record = self._shop.records.get(str(drawn.get("id")))
        if not isinstance(record, Subscription | Invoice):
            return named
        of = record.subscription if isinstance(record, Invoice) else record
        return [
            discount_object(
                discount,
                record.customer.version,
                customer_id=record.customer.reference,
                subscription_id=of.id if of else None,
            )
            for discount in record.discounts
        ]

    def _included(self, drawn: Json, name: str, path: str) -> Json | None:
        """What an object carries only on request."""
        record = self._shop.records.get(str(drawn.get("id")))
        if isinstance(record, Price) and name in {"currency_options", "tiers"}:
            # Every price is so much a unit, in one currency.
            return {record.currency: _currency_option(record)} if name != "tiers" else None
        match record, name:
            case Session(), "line_items":
                url = f"/v1/checkout/sessions/{record.id}/line_items"
                return _cut_list(line_items_of(record), url)
            case Invoice(), "payments":
                return stripe_list(invoice_payments(record), "/v1/invoice_payments")
            case Charge(), "refunds":
                refunds = [one for one in self._shop.every(Refund) if one.charge is record]
                return stripe_list([refund_object(one) for one in refunds], "/v1/refunds")
            case Customer(), "subscriptions":
                held = [one for one in self._shop.every(Subscription) if one.customer is record]
                return stripe_list([subscription_object(one) for one in held], "/v1/subscriptions")
            case Customer(), "sources" | "tax_ids":
                return stripe_list([], f"/v1/customers/{record.id}/{name}")
            case _:
                raise invalid(f"This property cannot be expanded ({path}).", "expand")

    def _page(self, page: Page) -> Json:
        kind = "search_result" if page.search else "list"
        more = {"next_page": page.next_page} if page.search else {}
        items = [self.draw(item) for item in page.items]
        return {"object": kind, "data": items, "has_more": page.has_more, "url": page.url, **more}

    def _session(self, session: Session) -> Json:
        page = f"{self._base_url}/c/pay/{session.id}" if session.status == "open" else None
        return {**session_object(session), "url": page}

    def _visit(self, visit: Visit) -> Json:
        return {
            "id": visit.id,
            "object": "billing_portal.session",
            "after_expiration": None,
            "configuration": "bpc_1OfflineDefault",
            "created": visit.created,
            "customer": visit.customer.id,
            "customer_account": None,
            "flow": _flow(visit),
            "livemode": False,
            "locale": None,
            "on_behalf_of": None,
            "return_url": visit.return_url,
            "url": f"{self._base_url}/p/session/{visit.id}",
        }

    @staticmethod
    def _event(posted: Posted) -> Json:
        drawn: Json = orjson.loads(posted.event.body)
        return {**drawn, "pending_webhooks": posted.pending}


@contextmanager
def speaking(shop: Shop, version: ApiVersion) -> Iterator[None]:
    """Draw in the shapes of a version; what the account itself says stays in its own."""
    own = [(customer, customer.version) for customer in shop.customers.values()]
    try:
        for customer, _ in own:
            customer.version = version
        yield
    finally:
        for customer, before in own:
            customer.version = before


def line_items_of(session: Session) -> list[Json]:
    """Draw what is in a session, each thing with what it costs today."""
    sums = zip(session.picks, due_now(session), off_each(session), strict=True)
    return [
        {
            "id": pick.line_id,
            "object": "item",
            "adjustable_quantity": None,
            "amount_discount": off,
            "amount_subtotal": due,
            "amount_tax": 0,
            "amount_total": due - off,
            "currency": pick.price.currency,
            "description": pick.price.plan.name,
            "metadata": {},
            "price": price_object(pick.price),
            "quantity": pick.quantity,
        }
        for pick, due, off in sums
    ]


def _cut_list(entries: list[Json], url: str) -> Json:
    """A list inside another object, which shows the first of its entries only."""
    return {**stripe_list(entries[:SHOWN], url), "has_more": len(entries) > SHOWN}


def items_of(subscription: Subscription) -> list[Json]:
    """Draw the items of a subscription."""
    return [item_object(subscription, one) for one in subscription.items]


def lines_of(invoice: Invoice) -> list[Json]:
    """Draw the lines of an invoice."""
    return [line_object(line, invoice) for line in invoice.lines]


def invoice_payments(invoice: Invoice) -> list[Json]:
    """Draw what has paid an invoice, or is about to."""
    if invoice.payment_id:
        return [invoice_payment_object(invoice)]
    if invoice.intent is None:
        return []
    drawn = invoice_payment_object(invoice)
    return [
        {**drawn, "id": f"inpay_{invoice.intent.id[3:]}", "amount_paid": None, "status": "open"}
    ]


def _flow(visit: Visit) -> Json | None:
    if visit.flow is None:
        return None
    details = {"retention": None, "subscription": visit.flow_subscription}
    if visit.flow == "subscription_update":
        del details["retention"]
    return {
        "after_completion": {
            "hosted_confirmation": None,
            "redirect": {"return_url": visit.after_flow} if visit.after_flow else None,
            "type": "redirect" if visit.after_flow else "portal_homepage",
        },
        "subscription_cancel": details if visit.flow == "subscription_cancel" else None,
        "subscription_update": details if visit.flow == "subscription_update" else None,
        "subscription_update_confirm": None,
        "type": visit.flow,
    }
