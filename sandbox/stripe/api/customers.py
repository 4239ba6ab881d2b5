"""Customers: made, changed, deleted, listed, searched."""

from typing import Any

from sandbox.simulate.contract_records import Customer
from sandbox.simulate.objects import customer_object
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.finding import find_method
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    Group,
    Many,
    merged,
    metadata,
    one_of,
    text,
)
from sandbox.stripe.api.searching import searching
from sandbox.stripe.clocks import Clock
from sandbox.stripe.errors import invalid, no_such

_ADDRESS = Group(dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), text))
_FIELDS: dict[str, Any] = {
    "address": _ADDRESS,
    "description": text,
    "email": text,
    "invoice_settings": Group({"default_payment_method": text, "footer": text}),
    "metadata": metadata,
    "name": text,
    "phone": text,
    "preferred_locales": Many(text, most=10),
    "shipping": Group({"address": _ADDRESS, "name": text, "phone": text}, ("address", "name")),
    "tax_exempt": one_of("exempt", "none", "reverse"),
}
_CREATE = Group({**_FIELDS, "payment_method": text, "test_clock": text})
# What is drawn as it was said.
_STATED = ("preferred_locales", "tax_exempt", "test_clock")


def _create(call: Call) -> Found:
    params = call.params
    customer = call.shop.add_customer(
        name=params.get("name") or "",
        email=params.get("email") or "",
        metadata=merged(None, params.get("metadata", {})),
        description=params.get("description"),
        phone=params.get("phone"),
    )
    customer.stated = _stated(call)
    if customer.stated.get("test_clock"):
        call.find(Clock, customer.stated["test_clock"], "test_clock", "test_clock")
    call.shop.announce(customer)
    named = params.get("payment_method")
    if named:
        call.shop.attach(find_method(call, named, "payment_method"), customer)
    _choose_default(call, customer)
    return customer


def _stated(call: Call) -> dict[str, Any]:
    params = call.params
    stated = {name: params[name] for name in _STATED if name in params}
    for name in ("address", "shipping"):
        if name in params:
            stated[name] = _place(params[name], whole=name == "shipping")
    return stated


def _place(said: dict[str, Any], *, whole: bool) -> dict[str, Any] | None:
    if not said:
        return None
    if whole:
        phone = {"phone": said.get("phone")}
        return {**said, **phone, "address": _place(said["address"], whole=False)}
    return {**dict.fromkeys(_ADDRESS.rules), **said}


def _choose_default(call: Call, customer: Customer) -> None:
    wanted = (call.params.get("invoice_settings") or {}).get("default_payment_method")
    if not wanted:
        return
    where = "invoice_settings[default_payment_method]"
    method = find_method(call, wanted, where)
    if method.customer is None and wanted.startswith("pm_card_"):
        call.shop.attach(method, customer)
    if method.customer is not customer:
        message = f"The customer does not have a payment method with the ID {method.id}."
        raise invalid(f"{message} The payment method must be attached.", where, "resource_missing")
    call.shop.make_default(customer, method)


def living(call: Call, customer_id: str, param: str) -> Customer:
    """A customer who is not deleted, as a parameter names them."""
    customer = call.find(Customer, customer_id, "customer", param)
    if customer.deleted or customer.guest:
        raise no_such("customer", customer_id, param)
    return customer


def _retrieve(call: Call) -> Found:
    return call.the(Customer, "customer")


def _update(call: Call) -> Found:
    customer = living(call, call.id, "id")
    own = ("description", "email", "metadata", "name", "phone")
    changes = {name: call.params[name] for name in own if name in call.params}
    changes["stated"] = customer.stated | _stated(call)
    for name in {"name", "email"} & changes.keys():
        changes[name] = changes[name] or ""
    if "metadata" in changes:
        changes["metadata"] = merged(customer.metadata, changes["metadata"])
    call.shop.change_customer(customer, changes)
    _choose_default(call, customer)
    return customer


def _delete(call: Call) -> Found:
    customer = living(call, call.id, "id")
    call.shop.remove_customer(customer)
    return customer


def _is_listed(customer: Customer) -> bool:
    return customer.announced and not customer.deleted and not customer.guest


def _list(call: Call) -> Found:
    return call.listed(Customer, _is_listed, email=lambda customer: customer.email)


_FOUND_BY = ("created", "email", "name", "phone")
ENDPOINTS = (
    Endpoint("POST", "/v1/customers", _CREATE, _create),
    Endpoint("GET", "/v1/customers", Group({**DATED_PAGE, "email": text}), _list),
    searching("/v1/customers", Customer, customer_object, _FOUND_BY, _is_listed),
    Endpoint("GET", "/v1/customers/<id>", NOTHING, _retrieve),
    Endpoint("POST", "/v1/customers/<id>", Group(_FIELDS), _update),
    Endpoint("DELETE", "/v1/customers/<id>", NOTHING, _delete),
)
