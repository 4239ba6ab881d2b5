"""What a restricted key may do: Stripe's permissions, as its form for keys has them.

A key that nobody restricted may do everything, as a secret key may. To write is to read as well.
"""

from dataclasses import dataclass
from http import HTTPStatus

from sandbox.stripe.errors import Refusal


@dataclass(frozen=True, slots=True)
class Permission:
    """One resource of Stripe's form: its label, its name in errors, and what it covers."""

    label: str
    slug: str
    paths: tuple[str, ...]


# The first that covers an address counts.
_PERMISSIONS: tuple[Permission, ...] = (
    Permission("Checkout Sessions", "checkout_session", ("/v1/checkout/",)),
    Permission("Customer portal", "customer_portal", ("/v1/billing_portal/",)),
    Permission("Customers", "customer", ("/v1/customers",)),
    Permission("Webhook Endpoints", "webhook", ("/v1/webhook_endpoints",)),
    Permission("Event Destinations", "event_destination", ("/v2/core/event_destinations",)),
    Permission("Events", "event", ("/v1/events", "/v2/core/events")),
    Permission("Subscriptions", "subscription", ("/v1/subscription",)),
    Permission("Credit notes", "credit_note", ("/v1/credit_notes",)),
    Permission("Invoices", "invoice", ("/v1/invoice",)),
    Permission("Products", "product", ("/v1/products",)),
    Permission("Prices", "plan", ("/v1/prices", "/v1/plans")),
    Permission("Charges and Refunds", "charge", ("/v1/charges",)),
    Permission("Refunds", "refund", ("/v1/refunds",)),
    Permission("Disputes", "dispute", ("/v1/disputes",)),
    Permission("PaymentIntents", "payment_intent", ("/v1/payment_intents",)),
    Permission("PaymentMethods", "payment_method", ("/v1/payment_methods",)),
    Permission("SetupIntents", "setup_intent", ("/v1/setup_intents",)),
    Permission("Coupons", "coupon", ("/v1/coupons",)),
    Permission("Promotion Codes", "promotion_code", ("/v1/promotion_codes",)),
    Permission("Tax Rates", "tax_rate", ("/v1/tax_rates",)),
    Permission("Payouts", "payout", ("/v1/payouts",)),
    Permission("Transfers", "transfer", ("/v1/transfers",)),
    Permission("Top-ups", "topup", ("/v1/topups",)),
    Permission("Balance transactions", "balance_transaction", ("/v1/balance",)),
    Permission("Basic Business Contact Information", "accounts_kyc_basic", ("/v1/account",)),
)


class Keys:
    """The restricted keys of an account; every other key may do everything."""

    def __init__(self) -> None:
        self._restricted: dict[str, frozenset[str]] = {}

    def restrict(self, key: str, *permissions: str) -> None:
        """Let a key do only this: `customer_write`, `invoice_read` and so on."""
        self._restricted[key] = frozenset(permissions)

    def check(self, key: str, method: str, path: str, account_id: str) -> None:
        """Raise `Refusal` where a restricted key may not make a request."""
        held = self._restricted.get(key)
        if held is None:
            return
        access = "read" if method == "GET" else "write"
        permission = next(
            (each for each in _PERMISSIONS if path.startswith(each.paths)),
            Permission("All resources", "all", ()),
        )
        if not held & {f"{permission.slug}_write", f"{permission.slug}_{access}"}:
            raise _denied(key, permission, access, account_id)


def _denied(key: str, permission: Permission, access: str, account_id: str) -> Refusal:
    shown = f"{key[:8]}{'*' * 20}{key[-4:]}"
    message = (
        f"Permission denied. The provided key '{shown}' does not have the required permissions for"
        f" this endpoint on account '{account_id}'. Enabling \"{permission.label}"
        f" {access.capitalize()}\" ('{permission.slug}_{access}') permissions on this key would"
        " allow this request to continue."
    )
    return Refusal(HTTPStatus.FORBIDDEN, message)
