"""A machine with a proxy: the world is asked through it, this machine never."""

import urllib.request
from collections.abc import Iterator

import httpx
import pytest
from jwt import PyJWKClient

import settings
from stripe_gateway import StripeGateway, StripeUnavailable
from tests.ingest.builders import ENVIRONMENT
from tests.stripe_server import StripeServer, serve

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
# Nobody listens there, so that whatever is asked through it is not answered.
PROXY = "http://127.0.0.1:1"
ENDPOINTS = "/v1/webhook_endpoints"


@pytest.fixture
def stripe() -> Iterator[StripeServer]:
    """A server of this machine in Stripe's place, which also serves a key set."""
    with serve() as found:
        found.answers[ENDPOINTS] = {"object": "list", "data": [{"id": "we_1"}], "has_more": False}
        found.answers["/keys"] = {"keys": []}
        yield found


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process whose environment names a proxy for everything."""
    for name in NAMES:
        # Set before it is deleted, so that what the product sets is taken back, too.
        monkeypatch.setenv(name.lower(), "")
        monkeypatch.delenv(name.lower())
        monkeypatch.setenv(name, PROXY)
    monkeypatch.delenv("NO_PROXY")
    return monkeypatch


def gateway(url: str) -> StripeGateway:
    """A gateway to a Stripe."""
    variables = {"STRIPE_SECRET_KEY": "sk_test_of_the_tests", "STRIPE_API_BASE": url}
    return StripeGateway(settings.load(environ=ENVIRONMENT | variables))


@pytest.mark.usefixtures("proxied")
def test_this_machine_is_asked_directly(stripe: StripeServer) -> None:
    """Stripe's client and the reader of key sets, which find the proxy each in its own way."""
    settings.ask_loopback_directly()
    assert gateway(stripe.url).endpoints.classic() == [{"id": "we_1"}]
    assert PyJWKClient(f"{stripe.url}/keys", cache_jwk_set=False).fetch_data() == {"keys": []}
    for name in ("localhost:8001", "127.0.0.1:8001"):
        assert urllib.request.proxy_bypass(name)
    # Stripe's client makes one where httpx is installed; it would refuse a name in brackets.
    httpx.Client().close()


@pytest.mark.usefixtures("proxied")
def test_without_that_the_proxy_is_asked_and_named(stripe: StripeServer) -> None:
    """The one who is to blame: Stripe never saw the key."""
    with pytest.raises(StripeUnavailable, match="no way through the proxy") as refused:
        gateway(stripe.url).endpoints.classic()
    assert refused.value.by_proxy
    assert stripe.asked == []


def test_the_world_is_still_asked_through_the_proxy(proxied: pytest.MonkeyPatch) -> None:
    """And what a person left out stays out."""
    proxied.setenv("NO_PROXY", "example.com, 127.0.0.1")
    settings.ask_loopback_directly()
    settings.ask_loopback_directly()
    assert not urllib.request.proxy_bypass("api.stripe.com")
    assert urllib.request.proxy_bypass("example.com")
    assert urllib.request.getproxies()["no"] == "example.com,127.0.0.1,localhost,::1"


def test_who_asks_nothing_through_a_proxy_is_left_alone(proxied: pytest.MonkeyPatch) -> None:
    """Either none is named, or none is used."""
    proxied.setenv("NO_PROXY", "*")
    settings.ask_loopback_directly()
    assert urllib.request.getproxies()["no"] == "*"
    for name in NAMES:
        proxied.delenv(name)
    settings.ask_loopback_directly()
    assert urllib.request.getproxies_environment() == {}
