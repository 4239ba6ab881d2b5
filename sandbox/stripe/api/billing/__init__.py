"""What is billed: subscriptions, their items, invoices and what waits for one."""

from sandbox.stripe.api.billing import (
    drafting,
    invoices,
    items,
    meters,
    rates,
    schedules,
    subscriptions,
)

ENDPOINTS = (
    *subscriptions.ENDPOINTS,
    *invoices.ENDPOINTS,
    *drafting.ENDPOINTS,
    *items.ENDPOINTS,
    *rates.ENDPOINTS,
    *meters.ENDPOINTS,
    *schedules.ENDPOINTS,
)

__all__ = ["ENDPOINTS"]
