"""Classic webhook endpoints of the offline Stripe, and keys that may not do everything."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.offline_stripe import Offline, offline_stripe

URL = "https://shop.example/billing/stripe/webhook/"
RESTRICTED = "rk_test_restricted0123456789"


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account without an endpoint."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def made(offline: Offline, **more: Any) -> stripe.WebhookEndpoint:
    """An endpoint, as the API makes one."""
    params: Any = {"url": URL, "enabled_events": ["invoice.paid"], **more}
    return offline.client.v1.webhook_endpoints.create(params)


def test_an_endpoint_is_made_changed_and_removed(offline: Offline) -> None:
    """Its secret is told once, when it is made."""
    endpoint = made(offline, api_version="2025-02-24.acacia", metadata={"a": "b"})
    assert endpoint.secret
    assert endpoint.secret.startswith("whsec_")
    assert (endpoint.status, endpoint.api_version) == ("enabled", "2025-02-24.acacia")
    endpoints = offline.client.v1.webhook_endpoints
    assert "secret" not in endpoints.retrieve(endpoint.id)
    changed = endpoints.update(
        endpoint.id,
        {"disabled": True, "url": f"{URL}?a=b", "enabled_events": ["*"], "metadata": {"a": ""}},
    )
    assert (changed.status, changed.url, changed.enabled_events) == (
        "disabled",
        f"{URL}?a=b",
        ["*"],
    )
    assert changed.metadata.to_dict() == {}
    assert [each.id for each in endpoints.list().data] == [endpoint.id]
    assert endpoints.delete(endpoint.id).deleted
    assert endpoints.list().data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such webhook_endpoint"):
        endpoints.retrieve(endpoint.id)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"api_version": "2025-01-01.nowhere"}, "Invalid api_version"),
        ({"enabled_events": ["v1.invoice.paid"]}, "is a thin event"),
        ({"url": "shop.example"}, "Not a valid URL"),
    ],
)
def test_what_stripe_would_refuse_is_refused(
    offline: Offline, params: dict[str, Any], says: str
) -> None:
    """A version that there is, snapshot types, an address."""
    with pytest.raises(stripe.InvalidRequestError, match=says):
        made(offline, **params)


def test_a_restricted_key_may_do_what_it_was_given(offline: Offline) -> None:
    """To write is to read; for the rest Stripe names the permission, and hides the key."""
    offline.world.keys.restrict(RESTRICTED, "customer_write", "invoice_read")
    client = stripe.StripeClient(RESTRICTED, base_addresses={"api": offline.url})
    customer = client.v1.customers.create({"email": "a@example.com"})
    assert client.v1.customers.retrieve(customer.id).id == customer.id
    assert client.v1.invoices.list().data == []
    for ask in (
        lambda: client.v1.invoices.update("in_1", {}),
        client.v1.webhook_endpoints.list,
        client.v2.core.event_destinations.list,
    ):
        with pytest.raises(stripe.PermissionError) as refused:
            ask()
        assert RESTRICTED not in str(refused.value)
        assert "would allow this request to continue" in str(refused.value)
    with pytest.raises(stripe.PermissionError, match=r"\('plan_write'\) permissions"):
        client.v1.prices.update("price_1", {})
    # Every other key may do everything.
    offline.client.v1.prices.list()
