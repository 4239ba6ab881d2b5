"""The offline Stripe's objects and parameters against the typed classes of the installed SDK."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import stripe
import typing_extensions
from stripe._request_options import RequestOptions
from stripe.params.v2 import core as v2

from sandbox.simulate.account import Account
from sandbox.simulate.plans import Plan
from sandbox.simulate.play import play
from sandbox.simulate.stories import ENABLED
from sandbox.simulate.versions import NEW
from sandbox.stripe.api.dispatch import ENDPOINTS
from sandbox.stripe.api.parameters import Group, Many
from tests.offline_stripe import DAY, GOOD, LATER, Offline, offline_stripe
from tests.stripe_types import problems_of

PLANS = (
    Plan(1, "full", "Pro", 10_000, "month", {"usd": 2900}, {"usd": "price_pro"}, 14, 500),
    Plan(2, "full", "Max", 30_000, "month", {"usd": 5800}, {"usd": "price_max"}),
    Plan(4, "token", "Pack", 1000, None, {"usd": 500}, {"usd": "price_pack"}),
)
P = stripe.params
# What older versions of the API call something that is taken.
OLDER = {"payment_method_types"}
# The options of a request mention it without importing it.
UNNAMED = {"StripeContext": object, "Mapping": Mapping}
_C = "/v1/customers"
PARAMETERS: dict[tuple[str, str], Any] = {
    ("POST", "/v1/customers"): P.CustomerCreateParams,
    ("GET", "/v1/customers"): P.CustomerListParams,
    ("GET", "/v1/customers/search"): P.CustomerSearchParams,
    ("GET", "/v1/products/search"): P.ProductSearchParams,
    ("GET", "/v1/prices/search"): P.PriceSearchParams,
    ("GET", "/v1/subscriptions/search"): P.SubscriptionSearchParams,
    ("GET", "/v1/invoices/search"): P.InvoiceSearchParams,
    ("GET", "/v1/charges/search"): P.ChargeSearchParams,
    ("GET", "/v1/payment_intents/search"): P.PaymentIntentSearchParams,
    ("POST", "/v1/customers/<id>"): P.CustomerUpdateParams,
    ("POST", "/v1/products"): P.ProductCreateParams,
    ("GET", "/v1/products"): P.ProductListParams,
    ("POST", "/v1/products/<id>"): P.ProductUpdateParams,
    ("POST", "/v1/prices"): P.PriceCreateParams,
    ("GET", "/v1/prices"): P.PriceListParams,
    ("POST", "/v1/prices/<id>"): P.PriceUpdateParams,
    ("POST", "/v1/checkout/sessions"): P.checkout.SessionCreateParams,
    ("POST", "/v1/checkout/sessions/<id>"): P.checkout.SessionUpdateParams,
    ("GET", "/v1/checkout/sessions"): P.checkout.SessionListParams,
    ("GET", "/v1/checkout/sessions/<id>/line_items"): P.checkout.SessionLineItemListParams,
    ("POST", "/v1/billing_portal/sessions"): P.billing_portal.SessionCreateParams,
    ("POST", "/v1/billing_portal/configurations"): P.billing_portal.ConfigurationCreateParams,
    ("GET", "/v1/billing_portal/configurations"): P.billing_portal.ConfigurationListParams,
    ("POST", "/v1/billing_portal/configurations/<id>"): P.billing_portal.ConfigurationUpdateParams,
    ("GET", "/v1/subscriptions"): P.SubscriptionListParams,
    ("POST", "/v1/subscriptions/<id>"): P.SubscriptionUpdateParams,
    ("GET", "/v1/subscription_items"): P.SubscriptionItemListParams,
    ("POST", "/v1/subscriptions"): P.SubscriptionCreateParams,
    ("DELETE", "/v1/subscriptions/<id>"): P.SubscriptionCancelParams,
    ("POST", "/v1/invoices"): P.InvoiceCreateParams,
    ("POST", "/v1/invoices/create_preview"): P.InvoiceCreatePreviewParams,
    ("POST", "/v1/invoices/<id>"): P.InvoiceUpdateParams,
    ("POST", "/v1/invoices/<id>/finalize"): P.InvoiceFinalizeInvoiceParams,
    ("POST", "/v1/invoices/<id>/pay"): P.InvoicePayParams,
    ("POST", "/v1/invoiceitems"): P.InvoiceItemCreateParams,
    ("GET", "/v1/invoiceitems"): P.InvoiceItemListParams,
    ("POST", "/v1/invoiceitems/<id>"): P.InvoiceItemUpdateParams,
    ("GET", "/v1/invoices"): P.InvoiceListParams,
    ("GET", "/v1/invoices/<id>/lines"): P.InvoiceLineItemListParams,
    ("GET", "/v1/invoice_payments"): P.InvoicePaymentListParams,
    ("GET", "/v1/payment_intents"): P.PaymentIntentListParams,
    ("POST", "/v1/payment_intents"): P.PaymentIntentCreateParams,
    ("POST", "/v1/payment_intents/<id>"): P.PaymentIntentUpdateParams,
    ("POST", "/v1/payment_intents/<id>/confirm"): P.PaymentIntentConfirmParams,
    ("POST", "/v1/payment_intents/<id>/capture"): P.PaymentIntentCaptureParams,
    ("POST", "/v1/payment_intents/<id>/cancel"): P.PaymentIntentCancelParams,
    ("POST", "/v1/setup_intents"): P.SetupIntentCreateParams,
    ("GET", "/v1/setup_intents"): P.SetupIntentListParams,
    ("POST", "/v1/setup_intents/<id>"): P.SetupIntentUpdateParams,
    ("POST", "/v1/setup_intents/<id>/confirm"): P.SetupIntentConfirmParams,
    ("POST", "/v1/setup_intents/<id>/cancel"): P.SetupIntentCancelParams,
    ("POST", "/v1/payment_methods"): P.PaymentMethodCreateParams,
    ("POST", "/v1/payment_methods/<id>"): P.PaymentMethodUpdateParams,
    ("POST", "/v1/payment_methods/<id>/attach"): P.PaymentMethodAttachParams,
    ("POST", "/v1/tax_rates"): P.TaxRateCreateParams,
    ("GET", "/v1/tax_rates"): P.TaxRateListParams,
    ("POST", "/v1/tax_rates/<id>"): P.TaxRateUpdateParams,
    ("POST", "/v1/billing/meters"): P.billing.MeterCreateParams,
    ("GET", "/v1/billing/meters"): P.billing.MeterListParams,
    ("POST", "/v1/billing/meters/<id>"): P.billing.MeterUpdateParams,
    ("POST", "/v1/test_helpers/test_clocks"): P.test_helpers.TestClockCreateParams,
    ("GET", "/v1/test_helpers/test_clocks"): P.test_helpers.TestClockListParams,
    ("POST", "/v1/test_helpers/test_clocks/<id>/advance"): P.test_helpers.TestClockAdvanceParams,
    ("POST", "/v1/subscription_schedules"): P.SubscriptionScheduleCreateParams,
    ("GET", "/v1/subscription_schedules"): P.SubscriptionScheduleListParams,
    ("POST", "/v1/subscription_schedules/<id>"): P.SubscriptionScheduleUpdateParams,
    ("GET", "/v1/charges"): P.ChargeListParams,
    ("POST", "/v1/refunds"): P.RefundCreateParams,
    ("GET", "/v1/refunds"): P.RefundListParams,
    ("GET", "/v1/disputes"): P.DisputeListParams,
    ("POST", "/v1/coupons"): P.CouponCreateParams,
    ("GET", "/v1/coupons"): P.CouponListParams,
    ("POST", "/v1/coupons/<id>"): P.CouponUpdateParams,
    ("POST", "/v1/promotion_codes/<id>"): P.PromotionCodeUpdateParams,
    ("POST", f"{_C}/<id>/balance_transactions"): P.CustomerCreateBalanceTransactionParams,
    ("GET", f"{_C}/<id>/balance_transactions"): P.CustomerListBalanceTransactionsParams,
    ("POST", f"{_C}/<owner>/balance_transactions/<id>"): P.CustomerModifyBalanceTransactionParams,
    ("POST", f"{_C}/<id>/tax_ids"): P.CustomerCreateTaxIdParams,
    ("GET", f"{_C}/<id>/tax_ids"): P.CustomerListTaxIdsParams,
    ("POST", "/v1/promotion_codes"): P.PromotionCodeCreateParams,
    ("GET", "/v1/promotion_codes"): P.PromotionCodeListParams,
    ("POST", "/v1/credit_notes"): P.CreditNoteCreateParams,
    ("GET", "/v1/credit_notes"): P.CreditNoteListParams,
    ("GET", "/v1/events"): P.EventListParams,
    ("GET", "/v1/accounts"): P.AccountListParams,
    ("GET", "/v1/plans"): P.PlanListParams,
    ("GET", "/v1/payment_methods"): P.PaymentMethodListParams,
    ("GET", "/v1/customers/<id>/payment_methods"): P.CustomerPaymentMethodListParams,
    ("GET", "/v1/balance_transactions"): P.BalanceTransactionListParams,
    ("GET", "/v1/webhook_endpoints"): P.WebhookEndpointListParams,
    ("POST", "/v1/webhook_endpoints"): P.WebhookEndpointCreateParams,
    ("POST", "/v1/webhook_endpoints/<id>"): P.WebhookEndpointUpdateParams,
}
# Lists of API v2 have another shape.
_D = "/v2/core/event_destinations"
PARAMETERS_V2: dict[tuple[str, str], Any] = {
    ("POST", _D): v2.EventDestinationCreateParams,
    ("GET", _D): v2.EventDestinationListParams,
    ("GET", f"{_D}/<id>"): v2.EventDestinationRetrieveParams,
    ("POST", f"{_D}/<id>"): v2.EventDestinationUpdateParams,
    ("GET", "/v2/core/events"): v2.EventListParams,
}


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def wrong_in_events(payloads: list[dict[str, Any]]) -> set[str]:
    """What is wrong with some events and the objects in them; a preview has no id."""
    found: set[str] = set()
    for each in payloads:
        lines = {*problems_of(each), *problems_of(each["data"]["object"])}
        found |= lines - _known(each)
    return found


def _known(event: dict[str, Any]) -> set[str]:
    """What of an event no typed class allows: a preview's missing id, a payer without customer."""
    known = {"invoice.id is missing"} if "upcoming" in event["type"] else set()
    if event["data"]["object"].get("customer_account"):
        known.add("subscription.customer is None, not <class 'str'>")
    return known


def groups_of(hint: Any) -> list[Any]:
    """Every typed group of parameters that a hint allows."""
    if typing_extensions.is_typeddict(hint):
        return [hint]
    return [group for each in get_args(hint) for group in groups_of(each)]


def unknown_to_the_sdk(rules: Group, typed: list[Any], path: str = "") -> list[str]:
    """Parameters that are taken here though the SDK does not know them."""
    hints: dict[str, list[Any]] = {}
    for each in typed:
        for name, hint in typing_extensions.get_type_hints(each, localns=UNNAMED).items():
            if name not in RequestOptions.__annotations__:
                hints.setdefault(name, []).extend(groups_of(hint))
    found = [f"{path}{name}" for name in rules.rules.keys() - hints.keys() - OLDER]
    for name, rule in rules.rules.items():
        inner = rule.rule if isinstance(rule, Many) else rule
        if isinstance(inner, Group) and name in hints:
            found += unknown_to_the_sdk(inner, hints[name], f"{path}{name}.")
    return found


def test_every_simulated_object_of_the_newest_version_is_what_the_sdk_types() -> None:
    """Two hundred buyers' events, of every story, against the SDK's own classes."""
    account = Account(seed=7, run="types", starts_at=1_750_000_000)
    play(account, PLANS, NEW[-1:], customers=2 * len(ENABLED), today=1_800_000_000)
    assert not wrong_in_events([event.payload for event in account.events])


def test_every_object_of_the_api_is_what_the_sdk_types(offline: Offline) -> None:
    """Products, prices, sessions, portal visits and all that a busy account emits and lists."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(), customer, LATER)
    package = offline.session(
        offline.price(500, interval=None),
        customer,
        invoice_creation={"enabled": True},
        allow_promotion_codes=True,
    )
    offline.world.pay_delayed(package)
    bought = offline.session(offline.price(700, interval=None), customer)
    offline.world.pay(bought, "4000000000009995")
    offline.world.pay(bought, "4000002500003155")
    offline.world.refuse_authentication(bought)
    offline.world.pay(bought, GOOD)
    offline.session(offline.price(), customer)
    offline.world.dispute(offline.world.dashboard().payments[0].charge_id)
    flow = {"type": "subscription_cancel", "subscription_cancel": {"subscription": contract}}
    visit: Any = {"customer": customer, "flow_data": flow}
    offline.world.advance(31 * DAY)
    drawn = [offline.client.v1.billing_portal.sessions.create(visit).to_dict(for_json=True)]
    for path in {path for method, path in PARAMETERS if method == "GET" and "<" not in path}:
        query: dict[str, Any] = {"limit": 100}
        if path.endswith("search"):
            continue
        if path == "/v1/subscription_items":
            query["subscription"] = contract
        answer = offline.client.raw_request("get", path, **query)
        drawn.append(answer.json_body if hasattr(answer, "json_body") else answer.data)
    # A preview of an invoice has no id.
    found = {line for each in drawn for line in problems_of(each)}
    assert found == {"invoice.id is missing"}
    assert not wrong_in_events([one.event.payload for one in offline.world.log.posted])


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
def test_no_parameter_is_taken_that_the_sdk_does_not_know(endpoint: Any) -> None:
    """What passes here would pass the types of a real call, nested groups included."""
    typed = {**PARAMETERS, **PARAMETERS_V2}.get((endpoint.method, endpoint.path))
    if typed is None:
        assert not endpoint.accepts.rules
        return
    assert not unknown_to_the_sdk(endpoint.accepts, [typed])
