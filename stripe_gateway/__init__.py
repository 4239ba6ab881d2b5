"""The only user of Stripe's client: asks Stripe, and answers in plain dictionaries.

SDK objects never leave this package. Every answer says when it was given, by Stripe's clock, which
dates events; ours may be wrong. Every call may take seconds, so nobody makes one inside a database
transaction. Whatever creates something takes an idempotency key, so that asking again after no
answer makes nothing twice.
"""

from stripe_gateway.answers import Answer, EventPage, Json
from stripe_gateway.endpoints import Endpoints
from stripe_gateway.errors import (
    StripeBusy,
    StripeKeyRefused,
    StripeListTooLong,
    StripeMissing,
    StripeRefused,
    StripeSilent,
    StripeUnavailable,
)
from stripe_gateway.gateway import StripeGateway, key_hash, open_gateway

__all__ = [
    "Answer",
    "Endpoints",
    "EventPage",
    "Json",
    "StripeBusy",
    "StripeGateway",
    "StripeKeyRefused",
    "StripeListTooLong",
    "StripeMissing",
    "StripeRefused",
    "StripeSilent",
    "StripeUnavailable",
    "key_hash",
    "open_gateway",
]
