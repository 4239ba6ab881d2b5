"""What clients that read a whole account ask the offline Stripe for, through the real SDK."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe
from stripe._object_classes import OBJECT_CLASSES

from sandbox.stripe.api import empty
from sandbox.stripe.api.dispatch import ENDPOINTS
from tests.offline_stripe import GOOD, Offline, offline_stripe

# Collections of the SDK that belong to products of Stripe's which need another account or key.
ELSEWHERE = (
    *("/v1/apps/installs", "/v1/billing/credit", "/v1/billing/feedback_options", "/v1/issuing/"),
    *("/v1/payment_attempt_records", "/v1/payment_records", "/v1/product_catalog/"),
    *("/v1/subscription_items", "/v1/tax/locations", "/v1/three_d_secure/", "/v1/treasury/"),
)


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def collections_of_the_sdk() -> Iterator[str]:
    """The addresses of everything that the installed SDK can list."""
    for module, name in OBJECT_CLASSES.values():
        kind = getattr(importlib.import_module(module), name)
        if issubclass(kind, stripe.ListableAPIResource):
            yield kind.class_url()


def test_every_collection_of_the_sdk_is_answered_with_a_list(offline: Offline) -> None:
    """Those of other products of Stripe's are unknown; that is a 404, and no empty list."""
    empty_paths = {f"/v1/{name}" for name in empty.COLLECTIONS}
    for path in sorted(set(collections_of_the_sdk())):
        if path.startswith(ELSEWHERE) and path not in empty_paths:
            continue
        response = offline.client.raw_request("get", path, limit=3)
        body = offline.client.deserialize(response.data, api_mode="V1").to_dict()
        assert (body["object"], body["has_more"]) == ("list", False), path
        assert (empty.HEADER in response.headers) is (path in empty_paths), path
        assert path not in empty_paths or body["data"] == [], path


def test_an_id_of_an_empty_collection_is_none(offline: Offline) -> None:
    """404 and resource_missing, as for any other id."""
    with pytest.raises(stripe.InvalidRequestError, match="No such payout: 'po_1'") as error:
        offline.client.v1.payouts.retrieve("po_1")
    assert (error.value.http_status, error.value.code) == (404, "resource_missing")


def test_an_empty_collection_takes_every_parameter(offline: Offline) -> None:
    """Whatever narrows an empty list leaves it empty; nothing else takes what it does not know."""
    addresses = {
        *(f"/v1/{name}" for name in empty.COLLECTIONS),
        *(f"/v1/customers/<id>/{name}" for name in empty.OF_CUSTOMER),
        *(f"/v2/{name}" for name in empty.OF_V2),
        "/v1/products/<id>/features",
    }
    assert {one.path for one in ENDPOINTS if one.accepts.is_open} == addresses
    client = offline.client.v1
    assert client.invoice_items.list({"customer": offline.customer(), "pending": True}).data == []
    assert client.payouts.list({"created": {"gte": 1}, "limit": 100}).data == []
    assert client.radar.early_fraud_warnings.list({"charge": "ch_1"}).data == []


def test_the_account_is_the_only_one(offline: Offline) -> None:
    """Its list has it, and so has its own address."""
    (account,) = offline.client.v1.accounts.list().data
    assert account.id == offline.client.v1.accounts.retrieve_current().id
    assert offline.client.v1.accounts.retrieve(account.id).id == account.id


def test_a_recurring_price_is_a_plan_as_well(offline: Offline) -> None:
    """A one-time price is none."""
    monthly, once = offline.price(), offline.price(interval=None)
    plans = offline.client.v1.plans
    (plan,) = plans.list({"active": True}).data
    assert (plan.id, plan.amount, plan.interval) == (monthly, 2900, "month")
    assert plans.retrieve(monthly).to_dict() == plan.to_dict()
    with pytest.raises(stripe.InvalidRequestError, match="No such plan"):
        plans.retrieve(once)


def test_the_card_that_paid_is_the_customers_payment_method(offline: Offline) -> None:
    """In the list, by its id, of the customer, and told whole where it is named."""
    client, customer = offline.client.v1, offline.customer()
    assert client.payment_methods.list({"customer": customer}).data == []
    contract = offline.subscription(offline.price(), customer, GOOD)
    (method,) = client.payment_methods.list({"customer": customer, "type": "card"}).data
    assert method.card is not None
    assert method.card.last4 == "4242"
    assert [one.id for one in client.customers.payment_methods.list(customer).data] == [method.id]
    assert client.payment_methods.retrieve(method.id).to_dict() == method.to_dict()
    told = client.subscriptions.retrieve(contract, {"expand": ["default_payment_method"]})
    assert isinstance(told.default_payment_method, stripe.PaymentMethod)
    assert client.payment_methods.list({"type": "sepa_debit"}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such PaymentMethod"):
        client.payment_methods.retrieve("pm_1")


def test_money_that_moved_is_a_balance_transaction(offline: Offline) -> None:
    """A charge names one that can be fetched, and so does a refund, with less than nothing."""
    client = offline.client.v1
    offline.subscription(offline.price(), offline.customer())
    (charge,) = client.charges.list({"expand": ["data.balance_transaction"]}).data
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    assert charge.balance_transaction.amount == 2900
    refund = client.refunds.create({"charge": charge.id, "amount": 900})
    assert isinstance(refund.balance_transaction, str)
    assert client.balance_transactions.retrieve(refund.balance_transaction).net == -900
    every = client.balance_transactions.list().data
    assert [one.type for one in every] == ["refund", "charge"]
    assert len(client.balance_transactions.list({"type": "charge"}).data) == 1
    with pytest.raises(stripe.InvalidRequestError, match="No such balance transaction"):
        client.balance_transactions.retrieve("txn_1")


def test_what_dj_stripe_always_expands_is_there(offline: Offline) -> None:
    """Sources of a customer; tiers and options of a price."""
    client, customer = offline.client.v1, offline.customer()
    told = client.customers.retrieve(customer, {"expand": ["sources", "tax_ids"]})
    assert told.to_dict()["sources"]["data"] == []
    assert client.customers.tax_ids.list(customer).data == []
    price = client.prices.retrieve(offline.price(), {"expand": ["currency_options", "tiers"]})
    assert price.to_dict()["currency_options"]["usd"]["unit_amount"] == 2900
    assert price.to_dict()["tiers"] is None
