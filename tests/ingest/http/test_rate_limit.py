"""How often one may ask: counted by user, else by address, and never for webhooks."""

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from ingest.http import rate_limit
from ingest.http.rate_limit import REQUESTS_PER_SECOND, FixedWindow, network
from tests.ingest.builders import a_body, a_signature, as_user

CONFIG = "/billing/config/"


@pytest.fixture(autouse=True)
def _one_long_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine, all requests of a test fall into one second."""
    monkeypatch.setattr(
        rate_limit, "FixedWindow", lambda limit: FixedWindow(limit, clock=lambda: 7.0)
    )


def statuses_of(
    client: FlaskClient,
    times: int,
    path: str = CONFIG,
    headers: dict[str, str] | None = None,
    address: str = "192.0.2.1",
) -> list[int]:
    """What is answered to the same request again and again."""
    environ = {"REMOTE_ADDR": address}
    return [
        client.get(path, headers=headers, environ_base=environ).status_code for _ in range(times)
    ]


def test_an_address_is_held_back_after_its_limit(client: FlaskClient) -> None:
    """429 says when to come back; other addresses notice nothing."""
    assert REQUESTS_PER_SECOND >= 100
    assert statuses_of(client, REQUESTS_PER_SECOND) == [200] * REQUESTS_PER_SECOND
    refused = client.get(CONFIG, environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.content_type == "application/problem+json"
    assert json.loads(refused.data)["code"] == "rate_limited"
    assert statuses_of(client, 1, address="192.0.2.2") == [200]


def test_a_user_has_a_limit_of_their_own_wherever_they_are(client: FlaskClient) -> None:
    """Neither strangers nor other users behind the same address use it up."""
    assert statuses_of(client, REQUESTS_PER_SECOND + 1)[-1] == 429
    for user in ("user_1", "user_2"):
        answers = statuses_of(client, REQUESTS_PER_SECOND + 1, headers=as_user(user))
        assert answers == [200] * REQUESTS_PER_SECOND + [429]
    assert statuses_of(client, 1, headers=as_user("user_1"), address="192.0.2.9") == [429]


def test_bad_tokens_are_counted_by_address(client: FlaskClient) -> None:
    """Guessing is slowed down; who guesses a user's name takes nothing from them."""
    bad = {"Authorization": "Bearer nonsense"}
    path = "/billing/tokens/"
    answers = statuses_of(client, REQUESTS_PER_SECOND + 1, path, bad)
    assert answers == [401] * REQUESTS_PER_SECOND + [429]


def test_addresses_that_do_not_exist_count_too(client: FlaskClient) -> None:
    """A scan is a flood like any other."""
    answers = statuses_of(client, REQUESTS_PER_SECOND + 1, "/nothing/here")
    assert (answers[0], answers[-1]) == (404, 429)


def test_webhooks_are_never_held_back(client: FlaskClient) -> None:
    """Neither by their own number nor by what else comes from the address."""
    assert statuses_of(client, REQUESTS_PER_SECOND + 1)[-1] == 429
    for path in ("/billing/stripe/webhook/", "/billing/stripe/webhook"):
        for _ in range(REQUESTS_PER_SECOND + 10):
            body = a_body()
            answer = client.post(
                path,
                data=body,
                headers=a_signature(body),
                environ_base={"REMOTE_ADDR": "192.0.2.1"},
            )
            assert answer.status_code == 200


@pytest.mark.parametrize(
    ("proxies", "held_back"), [("0", 429), ("1", 200)], ids=["no proxy", "a proxy"]
)
def test_only_a_trusted_proxy_says_who_is_behind_it(
    client_of: Callable[..., FlaskClient], proxies: str, held_back: int
) -> None:
    """A caller cannot take on another address for every request; the last entry is the proxy's."""
    client = client_of(TRUSTED_PROXIES=proxies)
    for number in range(REQUESTS_PER_SECOND):
        header = {"X-Forwarded-For": f"198.51.100.1, 203.0.113.{number}"}
        assert statuses_of(client, 1, headers=header) == [200]
    header = {"X-Forwarded-For": "198.51.100.1, 203.0.113.250"}
    assert statuses_of(client, 1, headers=header) == [held_back]


def test_a_new_second_begins_with_nothing_counted() -> None:
    """And what was counted before is forgotten, so memory stays bounded."""
    now = [0.0]
    window = FixedWindow(2, clock=lambda: now[0])
    assert [window.allows("a") for _ in range(3)] == [True, True, False]
    assert window.allows("b")
    now[0] = 1.0
    assert window.allows("a")
    assert window.callers == 1


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("nonsense", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_ipv6_customer_counts_as_one(address: str | None, counted_as: str) -> None:
    """They have more addresses than anyone can count."""
    assert network(address) == counted_as
