"""Paying without a page: payment methods, payment intents, setup intents."""

from sandbox.stripe.api.paying import intents, methods, setups

ENDPOINTS = (*methods.ENDPOINTS, *intents.ENDPOINTS, *setups.ENDPOINTS)

__all__ = ["ENDPOINTS"]
