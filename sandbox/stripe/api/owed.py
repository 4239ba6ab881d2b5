"""Customers' balances and tax numbers: changed, listed, struck out."""

from sandbox.simulate.contract_records import Customer
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    PAGE,
    Group,
    currency,
    merged,
    metadata,
    text,
    whole,
)
from sandbox.stripe.errors import invalid, no_such
from sandbox.stripe.owed import BalanceMove, TaxNumber

_MOVE = Group(
    {"amount": whole, "currency": currency, "description": text, "metadata": metadata},
    required=("amount", "currency"),
)
_NUMBER_PARTS = 2
_NUMBER = Group({"type": text, "value": text}, required=("type", "value"))


def _owner(call: Call) -> Customer:
    """The customer that the address names before its last id."""
    return living(call, call.path.split("/")[3], "id")


def _adjust(call: Call) -> Found:
    customer, params = living(call, call.id, "id"), call.params
    if params["amount"] == 0:
        raise invalid("The amount of a balance transaction cannot be zero.", "amount")
    wanted = params["currency"]
    if customer.currency not in ("", wanted):
        message = f"The customer's currency is {customer.currency}, not {wanted}."
        raise invalid(message, "currency")
    said = merged(None, params.get("metadata", {}))
    return call.shop.adjust(customer, params["amount"], wanted, params.get("description"), said)


def _move(call: Call) -> BalanceMove:
    move, owner = call.the(BalanceMove, "customer balance transaction"), _owner(call)
    if move.customer is not owner:
        raise no_such("customer balance transaction", call.id, "id")
    return move


def _change_move(call: Call) -> Found:
    move = _move(call)
    if "description" in call.params:
        move.description = call.params["description"]
    move.metadata = merged(move.metadata, call.params.get("metadata", {}))
    return move


def _moves(call: Call) -> Found:
    customer = living(call, call.id, "id")
    return call.listed(BalanceMove, lambda one: one.customer is customer)


def _add(call: Call, customer: Customer) -> Found:
    kind, value = call.params["type"], call.params["value"]
    if len(kind.split("_")[0]) != _NUMBER_PARTS or "_" not in kind:
        raise invalid(f"Invalid type: {kind}", "type")
    return call.shop.add_tax_number(customer, kind, value)


def _numbers(call: Call) -> Found:
    customer = living(call, call.id, "id")
    return call.listed(TaxNumber, lambda one: one.customer is customer)


def _number(call: Call) -> TaxNumber:
    number = call.the(TaxNumber, "tax ID")
    if number.customer is not _owner(call):
        raise no_such("tax ID", call.id, "id")
    return number


def _drop(call: Call) -> Found:
    number = _number(call)
    call.shop.drop_tax_number(number)
    return {"id": number.id, "object": "tax_id", "deleted": True}


_C = "/v1/customers"
_M, _N = f"{_C}/<id>/balance_transactions", f"{_C}/<id>/tax_ids"
_ONE_MOVE = f"{_C}/<owner>/balance_transactions/<id>"
_ONE_NUMBER = f"{_C}/<owner>/tax_ids/<id>"
ENDPOINTS = (
    Endpoint("POST", _M, _MOVE, _adjust),
    Endpoint("GET", _M, Group(DATED_PAGE), _moves),
    Endpoint("GET", _ONE_MOVE, NOTHING, _move),
    Endpoint("POST", _ONE_MOVE, Group({"description": text, "metadata": metadata}), _change_move),
    Endpoint("POST", _N, _NUMBER, lambda call: _add(call, living(call, call.id, "id"))),
    Endpoint("GET", _N, Group(PAGE), _numbers),
    Endpoint("GET", _ONE_NUMBER, NOTHING, _number),
    Endpoint("DELETE", _ONE_NUMBER, NOTHING, _drop),
)
