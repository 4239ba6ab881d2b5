"""Tells whole what a request names under `expand`: ids, discounts, what comes only on request."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.simulate.contract_records import Customer, Price, Subscription
from sandbox.simulate.discount_objects import discount_object
from sandbox.simulate.money_records import Charge, Refund
from sandbox.simulate.objects import stripe_list, subscription_object
from sandbox.simulate.records import Invoice, Session
from sandbox.simulate.reversal_objects import refund_object
from sandbox.stripe.agenda import Shop
from sandbox.stripe.api.balance import transaction_of
from sandbox.stripe.api.calls import Page
from sandbox.stripe.api.lists import cut_list, invoice_payments, line_items_of
from sandbox.stripe.api.paying.methods import method_of
from sandbox.stripe.api.pricing import tiers_of
from sandbox.stripe.checkouts import due_now, off_by
from sandbox.stripe.configurations import configuration
from sandbox.stripe.errors import invalid
from sandbox.stripe.offers import Offer, spread
from sandbox.stripe.owed import TaxNumber, tax_number_object
from sandbox.stripe.paying.setup_sessions import AnySession, SetupSession
from sandbox.stripe.portals import configuration_object

Json = dict[str, Any]
EXPANSIONS_DEPTH_MAX = 4
_OF_LINE_ITEM = ("discounts", "taxes")


class Expander:
    """Expands what was drawn of a request's result; `draw` draws a record."""

    def __init__(self, shop: Shop, draw: Callable[[object], Json], result: object) -> None:
        self._shop = shop
        self._draw = draw
        self._result = result

    def expand(self, drawn: Json, path: str) -> None:
        """Tell whole what a path such as `data.customer` names."""
        steps = path.split(".")
        if len(steps) - (steps[0] == "data") > EXPANSIONS_DEPTH_MAX:
            raise invalid(f"You cannot expand more than 4 levels of a property: {path}", "expand")
        self._expand(drawn, steps, path, None)

    def _expand(self, drawn: Json, steps: Sequence[str], path: str, owner: object) -> None:
        head, rest = steps[0], steps[1:]
        owner = self._owner(drawn) or owner
        value = drawn.get(head)
        if isinstance(value, str):
            value = drawn[head] = self._named(value)
        elif value is None and head not in drawn:
            value = drawn[head] = self._included(owner, drawn, head, path)
        if head == "discounts" and isinstance(value, list):
            value = drawn[head] = self._discounts(owner, value)
        for inner in value if isinstance(value, list) else [value]:
            if rest and isinstance(inner, dict):
                self._expand(inner, rest, path, owner)

    def _owner(self, drawn: Json) -> object:
        """Whose an object is: itself where it is a record, the invoice of a line."""
        if "object" not in drawn:
            return None
        named = "invoice" if drawn["object"] == "line_item" else "id"
        return self._shop.records.get(str(drawn.get(named)))

    def _named(self, object_id: str) -> str | Json:
        """What an id names, told whole; the id itself where that is not known."""
        if object_id.startswith("bpc_"):
            found = configuration(self._shop, object_id)
            return configuration_object(found) if found else object_id
        if object_id in self._shop.records:
            return self._draw(self._shop.records[object_id])
        if object_id.startswith("pm_"):
            return method_of(self._shop, object_id) or object_id
        if object_id.startswith("txn_"):
            return transaction_of(self._shop, object_id) or object_id
        return object_id

    def _discounts(self, owner: object, named: list[Any]) -> list[Any]:
        """The discounts of a contract, an invoice or its lines, told whole."""
        if not isinstance(owner, Subscription | Invoice):
            return named
        of = owner.subscription if isinstance(owner, Invoice) else owner
        known = {discount.id: discount for discount in owner.discounts}
        return [
            discount_object(
                known[one],
                owner.customer.version,
                customer_id=owner.customer.reference,
                subscription_id=of.id if of else None,
            )
            if isinstance(one, str) and one in known
            else one
            for one in named
        ]

    def _included(self, owner: object, drawn: Json, name: str, path: str) -> Any:  # noqa: ANN401
        """What an object, or a part of one, carries only on request."""
        if isinstance(owner, Session) and drawn.get("object") == "item" and name in _OF_LINE_ITEM:
            return _taken_off_line(owner, drawn["id"]) if name == "discounts" else []
        if name == "total_count" and isinstance(self._result, Page) and self._result.search:
            return self._result.total
        draw = INCLUDED.get((type(owner), name))
        if draw is None:
            raise invalid(f"This property cannot be expanded ({path}).", "expand")
        return draw(self._shop, owner)


def _currency_option(price: Price) -> Json:
    unit_minor = None if price.scheme.tiers else price.unit_minor
    return {
        "custom_unit_amount": None,
        "tax_behavior": "unspecified",
        "unit_amount": unit_minor,
        "unit_amount_decimal": None if unit_minor is None else str(unit_minor),
    }


def _taken_off(session: Session) -> list[Json]:
    version, buyer = session.customer.version, session.customer.reference
    return [
        {
            "amount": amount,
            "discount": discount_object(discount, version, customer_id=buyer, subscription_id=None),
        }
        for discount, amount in off_by(session)
    ]


def _taken_off_line(session: Session, line_id: str) -> list[Json]:
    place = [pick.line_id for pick in session.picks].index(line_id)
    version, buyer = session.customer.version, session.customer.reference
    amounts = dict(spread(due_now(session), session.discounts)[place])
    return [
        {
            "amount": amounts.get(discount.id, 0),
            "discount": discount_object(discount, version, customer_id=buyer, subscription_id=None),
        }
        for discount in session.discounts
    ]


def _line_items(_shop: Shop, session: AnySession) -> Json:
    return cut_list(line_items_of(session), f"/v1/checkout/sessions/{session.id}/line_items")


def _refunds(shop: Shop, charge: Charge) -> Json:
    refunds = [one for one in shop.every(Refund) if one.charge is charge]
    return stripe_list([refund_object(one) for one in refunds], "/v1/refunds")


def _subscriptions(shop: Shop, customer: Customer) -> Json:
    held = [one for one in shop.every(Subscription) if one.customer is customer]
    return stripe_list([subscription_object(one) for one in held], "/v1/subscriptions")


def _tax_ids(shop: Shop, customer: Customer) -> Json:
    held = [tax_number_object(one) for one in shop.every(TaxNumber) if one.customer is customer]
    return stripe_list(held, f"/v1/customers/{customer.id}/tax_ids")


def _none_of_customer(name: str) -> Callable[[Shop, Any], Json]:
    return lambda _shop, customer: stripe_list([], f"/v1/customers/{customer.id}/{name}")


# Whose and what → how it is drawn.
INCLUDED: Mapping[tuple[type, str], Callable[[Shop, Any], Json | list[Json] | None]] = {
    (Charge, "refunds"): _refunds,
    (Customer, "cash_balance"): lambda _shop, _: None,
    (Customer, "sources"): _none_of_customer("sources"),
    (Customer, "subscriptions"): _subscriptions,
    (Customer, "tax"): lambda _shop, _: {
        "automatic_tax": "unrecognized_location",
        "ip_address": None,
        "location": None,
    },
    (Customer, "tax_ids"): _tax_ids,
    (Invoice, "payments"): lambda _shop, invoice: stripe_list(
        invoice_payments(invoice), "/v1/invoice_payments"
    ),
    (Offer, "applies_to"): lambda _shop, _: None,
    (Price, "currency_options"): lambda _shop, price: {
        one.currency: _currency_option(one) for one in (price, *price.options.values())
    },
    (Price, "tiers"): lambda _shop, price: tiers_of(price),
    (Session, "breakdown"): lambda _shop, session: {"discounts": _taken_off(session), "taxes": []},
    (Session, "line_items"): _line_items,
    (SetupSession, "line_items"): _line_items,
}
