"""Customers: made, changed, deleted, listed, searched."""

from sandbox.simulate.contract_records import Customer
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.parameters import DATED_PAGE, NOTHING, Group, merged, metadata, text
from sandbox.stripe.api.searching import SEARCH, search
from sandbox.stripe.errors import no_such

_FIELDS = Group(
    {
        "description": text,
        "email": text,
        "metadata": metadata,
        "name": text,
        "phone": text,
    }
)


def _create(call: Call) -> Found:
    params = call.params
    customer = call.shop.add_customer(
        name=params.get("name") or "",
        email=params.get("email") or "",
        metadata=merged(None, params.get("metadata", {})),
        description=params.get("description"),
        phone=params.get("phone"),
    )
    call.shop.announce(customer)
    return customer


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
    changes = dict(call.params)
    for name in {"name", "email"} & changes.keys():
        changes[name] = changes[name] or ""
    if "metadata" in changes:
        changes["metadata"] = merged(customer.metadata, changes["metadata"])
    call.shop.change_customer(customer, changes)
    return customer


def _delete(call: Call) -> Found:
    customer = living(call, call.id, "id")
    call.shop.remove_customer(customer)
    return customer


def _is_listed(customer: Customer) -> bool:
    return customer.announced and not customer.deleted and not customer.guest


def _list(call: Call) -> Found:
    return call.listed(Customer, _is_listed, email=lambda customer: customer.email)


def _search(call: Call) -> Found:
    return search(
        call,
        filter(_is_listed, call.shop.every(Customer)),
        lambda one: one.metadata,
        {
            "email": lambda one: one.email,
            "name": lambda one: one.name,
            "phone": lambda one: one.phone or "",
        },
    )


ENDPOINTS = (
    Endpoint("POST", "/v1/customers", _FIELDS, _create),
    Endpoint("GET", "/v1/customers", Group({**DATED_PAGE, "email": text}), _list),
    Endpoint("GET", "/v1/customers/search", SEARCH, _search),
    Endpoint("GET", "/v1/customers/<id>", NOTHING, _retrieve),
    Endpoint("POST", "/v1/customers/<id>", _FIELDS, _update),
    Endpoint("DELETE", "/v1/customers/<id>", NOTHING, _delete),
)
