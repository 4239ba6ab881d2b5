"""Customers: the link to our user, and the end of one."""

from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.payments.claims import Customer


def customer(source: Source) -> list[Fact]:
    """A customer; its metadata may name our user."""
    customer_id = source.required_id()
    return list(source.customer_link()) or [Customer(customer_id)]


def deleted_customer(source: Source) -> list[Fact]:
    """A customer deleted at Stripe. What was paid and granted stays as it is."""
    return [
        Customer(source.required_id(), deleted_created=source.event.created),
        *source.customer_link(),
    ]
