"""Draws what an endpoint found as Stripe's JSON, with what the request wants told whole."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from sandbox.simulate.contract_records import Customer, Price, Subscription
from sandbox.simulate.credit_note_objects import credit_note_object
from sandbox.simulate.invoice_objects import invoice_object
from sandbox.simulate.money_records import Charge, Dispute, Intent, Refund
from sandbox.simulate.objects import (
    customer_object,
    price_object,
    subscription_object,
)
from sandbox.simulate.payment_objects import charge_object, intent_object
from sandbox.simulate.records import CreditNote, Invoice, Session
from sandbox.simulate.reversal_objects import dispute_object, refund_object
from sandbox.simulate.session_objects import session_object
from sandbox.simulate.versions import ApiVersion
from sandbox.stripe.agenda import Shop
from sandbox.stripe.api.calls import Page
from sandbox.stripe.billing.items import InvoiceItem, invoice_item_object
from sandbox.stripe.billing.meters import Meter, meter_object
from sandbox.stripe.billing.rates import Rate, rate_object
from sandbox.stripe.billing.schedules import Schedule, schedule_object
from sandbox.stripe.clocks import Clock, clock_object
from sandbox.stripe.goods import Product, Visit, product_object
from sandbox.stripe.log import Posted
from sandbox.stripe.offers import Code, Offer, code_object, offer_object
from sandbox.stripe.owed import BalanceMove, TaxNumber, move_object, tax_number_object
from sandbox.stripe.paying.methods import Method, method_object
from sandbox.stripe.paying.setup_sessions import SetupSession, setup_session_object
from sandbox.stripe.paying.setups import Setup, setup_object

Json = dict[str, Any]


def _customer(customer: Customer) -> Json:
    if customer.deleted:
        return {"id": customer.id, "object": "customer", "deleted": True}
    return customer_object(customer)


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
    BalanceMove: move_object,
    TaxNumber: tax_number_object,
    Product: product_object,
    Clock: clock_object,
    InvoiceItem: invoice_item_object,
    Meter: meter_object,
    Rate: rate_object,
    Schedule: schedule_object,
    Method: method_object,
    Refund: refund_object,
    Setup: setup_object,
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
            Session: lambda session: self._session(session_object(session)),
            SetupSession: lambda session: self._session(setup_session_object(session)),
            Visit: self._visit,
        }

    def draw(self, thing: object) -> Json:
        """Draw a record, an event, a page of them, or what is drawn already."""
        if isinstance(thing, dict):
            return thing
        return self._ways[type(thing)](thing)

    def _page(self, page: Page) -> Json:
        kind = "search_result" if page.search else "list"
        more = {"next_page": page.next_page} if page.search else {}
        items = [self.draw(item) for item in page.items]
        return {"object": kind, "data": items, "has_more": page.has_more, "url": page.url, **more}

    def _session(self, drawn: Json) -> Json:
        return {**drawn, "url": drawn["url"] and f"{self._base_url}/c/pay/{drawn['id']}"}

    def _visit(self, visit: Visit) -> Json:
        return {
            "id": visit.id,
            "object": "billing_portal.session",
            "after_expiration": None,
            "configuration": visit.configuration_id,
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
