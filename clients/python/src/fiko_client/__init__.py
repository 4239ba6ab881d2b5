"""A client of Fiko Billing: ask for balances and access, spend tokens once, hear of changes."""

from fiko_client.access import Access, Feature, Reason, Unlocking
from fiko_client.async_client import AsyncClient
from fiko_client.calls import Spend, new_key
from fiko_client.client import Client
from fiko_client.connection import Away
from fiko_client.costs import costs
from fiko_client.errors import (
    Conflict,
    FikoError,
    Forbidden,
    InsufficientTokens,
    InvalidInput,
    KeyReused,
    NotFound,
    Offer,
    Problem,
    RateLimited,
    ServiceAway,
    Unauthorized,
    UnexpectedAnswer,
    WebhookRefused,
)
from fiko_client.models import (
    Balance,
    Checkout,
    LedgerEntry,
    Message,
    Plan,
    PlanType,
    Portal,
    Spooled,
    Subscription,
    SubscriptionItem,
)
from fiko_client.patience import Patience
from fiko_client.settling import Settled, SettlingThread
from fiko_client.spool import Spool, SpooledSpend
from fiko_client.webhooks import verify_webhook

__all__ = [
    "Access",
    "AsyncClient",
    "Away",
    "Balance",
    "Checkout",
    "Client",
    "Conflict",
    "Feature",
    "FikoError",
    "Forbidden",
    "InsufficientTokens",
    "InvalidInput",
    "KeyReused",
    "LedgerEntry",
    "Message",
    "NotFound",
    "Offer",
    "Patience",
    "Plan",
    "PlanType",
    "Portal",
    "Problem",
    "RateLimited",
    "Reason",
    "ServiceAway",
    "Settled",
    "SettlingThread",
    "Spend",
    "Spool",
    "Spooled",
    "SpooledSpend",
    "Subscription",
    "SubscriptionItem",
    "Unauthorized",
    "UnexpectedAnswer",
    "Unlocking",
    "WebhookRefused",
    "costs",
    "new_key",
    "verify_webhook",
]
