"""What a restricted key (`rk_…`) may do, compared with what this product asks of Stripe.

Each permission is tried with a request that changes nothing, whatever comes of it: it reads or
updates an object that cannot exist. Stripe looks at the key first, so it answers 403 where the
permission is missing and 404 where it is not.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import quote

from stripe_gateway import (
    StripeGateway,
    StripeKeyRefused,
    StripeMissing,
    StripeRefused,
)
from workers.questions.busy_retry import retry_while_busy

PREFIX = "rk_"
_PROBE = "FikoBillingProbe0"
_THREADS = 4
_FORBIDDEN = 403
_NO_SUCH_OBJECT = "resource_missing"


class Access(IntEnum):
    """How far a permission goes; to write is to read as well."""

    NONE = 0
    READ = 1
    WRITE = 2


@dataclass(frozen=True, slots=True)
class Resource:
    """One line of Stripe's form for restricted keys.

    `slug` is what Stripe calls it (`plan` are prices), `place` where an object of it is, `update`
    where one is changed, if elsewhere. Some can only be read.
    """

    label: str
    slug: str
    place: str
    update: str = ""
    is_only_read: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """What this product needs of a resource, what for, and whether it runs without it."""

    resource: Resource
    access: Access
    why: str
    is_vital: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the key lacks, what it has and need not, and a page that makes a fitting one."""

    missing: Sequence[Need]
    surplus: Sequence[tuple[Resource, Access]]
    page: str


def _needs() -> tuple[Need, ...]:
    write, read = Access.WRITE, Access.READ
    customers = Resource("Customers", "customer", f"/v1/customers/cus_{_PROBE}")
    sessions = f"/v1/checkout/sessions/cs_test_{_PROBE}"
    checkout = Resource("Checkout Sessions", "checkout_session", sessions, f"{sessions}/expire")
    portal = Resource(
        "Customer portal", "customer_portal", "/v1/billing_portal/configurations/bpc_" + _PROBE
    )
    endpoints = Resource("Webhook Endpoints", "webhook", f"/v1/webhook_endpoints/we_{_PROBE}")
    subscriptions = Resource("Subscriptions", "subscription", f"/v1/subscriptions/sub_{_PROBE}")
    invoices = Resource("Invoices", "invoice", f"/v1/invoices/in_{_PROBE}")
    charges = Resource("Charges and Refunds", "charge", f"/v1/charges/ch_{_PROBE}")
    events = Resource("Events", "event", f"/v1/events/evt_{_PROBE}", is_only_read=True)
    products = Resource("Products", "product", f"/v1/products/prod_{_PROBE}")
    prices = Resource("Prices", "plan", f"/v1/prices/price_{_PROBE}")
    return (
        Need(customers, write, "a customer is made for each buyer"),
        Need(checkout, write, "buyers are sent to checkout"),
        Need(portal, write, "customers are sent to the portal"),
        Need(subscriptions, read, "`check_subscription_status`, and states in doubt"),
        Need(invoices, read, "lists that an event cuts, and what an intent paid"),
        Need(charges, read, "which payment money went back of"),
        Need(events, read, "`reconcile` fetches what never arrived"),
        Need(products, write, "`sync_stripe_products`", is_vital=False),
        Need(prices, write, "`sync_stripe_products`", is_vital=False),
        Need(endpoints, write, "`webhook_endpoint`", is_vital=False),
    )


def _fetched() -> tuple[Need, ...]:
    """What thin events make us fetch besides."""
    why = "thin events name it, and it is fetched"
    return tuple(
        Need(resource, Access.READ, why)
        for resource in (
            Resource("PaymentIntents", "payment_intent", f"/v1/payment_intents/pi_{_PROBE}"),
            Resource("Refunds", "refund", f"/v1/refunds/re_{_PROBE}"),
            Resource("Disputes", "dispute", f"/v1/disputes/dp_{_PROBE}"),
            Resource("Credit notes", "credit_note", f"/v1/credit_notes/cn_{_PROBE}"),
        )
    )


# What can do harm or tell secrets, and is of no use here.
_OF_NO_USE: tuple[Resource, ...] = (
    Resource("Payouts", "payout", f"/v1/payouts/po_{_PROBE}"),
    Resource("Transfers", "transfer", f"/v1/transfers/tr_{_PROBE}"),
    Resource("Top-ups", "topup", f"/v1/topups/tu_{_PROBE}"),
    Resource("PaymentMethods", "payment_method", f"/v1/payment_methods/pm_{_PROBE}"),
    Resource("SetupIntents", "setup_intent", f"/v1/setup_intents/seti_{_PROBE}"),
    Resource("Coupons", "coupon", f"/v1/coupons/{_PROBE}"),
    Resource("Promotion Codes", "promotion_code", f"/v1/promotion_codes/promo_{_PROBE}"),
    Resource("Tax Rates", "tax_rate", f"/v1/tax_rates/txr_{_PROBE}"),
    Resource(
        "Balance transactions",
        "balance_transaction",
        f"/v1/balance_transactions/txn_{_PROBE}",
        is_only_read=True,
    ),
)


def examine(gateway: StripeGateway, *, test_mode: bool, is_thin: bool) -> Verdict:
    """Try every permission.

    Raises `StripeUnavailable` where Stripe cannot be asked, or refuses the key as a whole.
    """
    needs = (*_needs(), *_fetched()) if is_thin else _needs()
    unneeded = _OF_NO_USE if is_thin else (*(each.resource for each in _fetched()), *_OF_NO_USE)
    resources = [*(need.resource for need in needs), *unneeded]
    with ThreadPoolExecutor(_THREADS) as threads:
        found = list(threads.map(lambda each: _access(gateway, each), resources))
    has = dict(zip((each.slug for each in resources), found, strict=True))
    wanted = {need.resource.slug: need.access for need in needs}
    return Verdict(
        missing=[need for need in needs if has[need.resource.slug] < need.access],
        surplus=[
            (each, has[each.slug])
            for each in resources
            if has[each.slug] > wanted.get(each.slug, Access.NONE)
        ],
        page=_page(needs, test_mode=test_mode),
    )


def _access(gateway: StripeGateway, resource: Resource) -> Access:
    if not resource.is_only_read and _may(gateway, "post", resource.update or resource.place):
        return Access.WRITE
    return Access.READ if _may(gateway, "get", resource.place) else Access.NONE


def _may(gateway: StripeGateway, method: str, address: str) -> bool:
    try:
        retry_while_busy(lambda: gateway.probe(method, address))
    except StripeMissing as missing:
        # Without a code it is the address that Stripe does not know.
        return missing.code == _NO_SUCH_OBJECT
    except StripeRefused:
        return True
    except StripeKeyRefused as refused:
        if refused.status != _FORBIDDEN:
            raise
        return False
    return True


def _page(needs: Iterable[Need], *, test_mode: bool) -> str:
    """The page of Stripe's dashboard that makes a key with exactly these permissions."""
    words = {Access.READ: "read", Access.WRITE: "write"}
    slugs = [f"rak_{need.resource.slug}_{words[need.access]}" for need in needs]
    query = "&".join(["name=Fiko%20Billing", *(f"{quote('permissions[]')}={s}" for s in slugs)])
    mode = "test/" if test_mode else ""
    return f"https://dashboard.stripe.com/{mode}apikeys/create?{query}"
