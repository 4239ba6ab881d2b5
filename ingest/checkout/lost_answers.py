"""Finds what Stripe made although it answered with an error.

Stripe repeats the first answer to an idempotency key, a failure of its own too. So after one of
those nobody gets on by asking again under the same key; what was made has to be looked for.
"""

from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from db.checkout.purchases import Purchase
from domain.json_values import mapping_of
from ingest.checkout.deadline import Deadline
from stripe_gateway import (
    Json,
    StripeGateway,
    StripeMissing,
    StripeRefused,
    StripeUnavailable,
)


def is_repeated(error: StripeUnavailable) -> bool:
    """Whether Stripe failed in a way that it repeats for the same idempotency key."""
    return error.status is not None and error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def find_session(gateway: StripeGateway, deadline: Deadline, purchase: Purchase) -> Json | None:
    """The open session that Stripe made for a purchase, if there is one."""
    sessions = deadline.ask(lambda: gateway.checkout_sessions_of(purchase.customer_id))
    made = (
        session
        for session in sessions
        if _carries(session, "purchase_id", purchase.id) and session.get("status") == "open"
    )
    return next(made, None)


def find_customer(gateway: StripeGateway, deadline: Deadline, user_id: str) -> Json | None:
    """A customer that Stripe made for a user, if there is one."""
    customers = deadline.ask(gateway.newest_customers)
    with suppress(StripeRefused, StripeMissing):  # Some accounts cannot search.
        customers += deadline.ask(lambda: gateway.customers_of(user_id))
    made = (
        customer
        for customer in customers
        if _carries(customer, "user_id", user_id) and not customer.get("deleted")
    )
    return next(made, None)


def _carries(stripe_object: Mapping[str, Any], key: str, value: str) -> bool:
    return mapping_of(stripe_object.get("metadata")).get(key) == value
