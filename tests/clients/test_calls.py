"""The Python client's calls, with and without an event loop, on a service that fails as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

import fiko_client
from fiko_client import AsyncClient, Client, Patience
from ingest.account.access_schemas import AccessSchema
from tests.clients.fake_service import URL, FakeService, a_problem, token_for

AWAY = httpx.ConnectError("nobody listens")


@dataclass
class Caller:
    """Calls a client of either kind the same way; pauses are noted, not waited for."""

    client: Client | AsyncClient
    pauses: list[float] = field(default_factory=list)

    def do(self, name: str, *args: Any, **named: Any) -> Any:
        """Call a method; what it iterates over comes as a list."""
        result = getattr(self.client, name)(*args, **named)
        if isinstance(result, AsyncIterator):
            return asyncio.run(_listed(result))
        if isinstance(result, Awaitable):
            return asyncio.run(_awaited(result))
        return list(result) if isinstance(result, Iterator) else result


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


async def _listed(result: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in result]


@pytest.fixture
def service() -> FakeService:
    """A service where user_1 has 100 tokens."""
    return FakeService(balances={"user_1": 100})


@pytest.fixture(params=["sync", "async"])
def caller(request: pytest.FixtureRequest, service: FakeService) -> Caller:
    """A client of user_1."""
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    token = token_for("user_1")
    if request.param == "async":
        other = AsyncClient(URL, token, transport=service.transport, sleep=note)
        return Caller(other, pauses)
    client = Client(URL, lambda: token, transport=service.transport, sleep=pauses.append)
    return Caller(client, pauses)


def test_a_spend_is_answered_with_its_entry(caller: Caller, service: FakeService) -> None:
    """And the balance tells of it; fields of a later API are passed over."""
    entry = caller.do("spend", 30, "a summary")
    assert (entry.delta, entry.kind, entry.balance_after, entry.reason) == (
        -30,
        "debit",
        70,
        "a summary",
    )
    assert entry.created_at == datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
    assert caller.do("balance").balance == 70
    assert len(service.debits()) == 1


def test_the_key_is_made_once_and_kept_over_retries(caller: Caller, service: FakeService) -> None:
    """Nobody listens, a proxy fails, an answer is lost: one entry."""
    service.failures.extend([AWAY, httpx.Response(502, text="<html>")])
    service.lost_answers = 1
    caller.do("spend", 30, "a summary")
    keys = [each.headers["idempotency-key"] for each in service.debits()]
    assert len(keys) == 4
    assert len(set(keys)) == 1
    assert service.spent() == 30
    assert len(caller.pauses) == 3


def test_a_key_of_ones_own_is_sent(caller: Caller, service: FakeService) -> None:
    """And repeated, it spends nothing more."""
    first, again = (caller.do("spend", 30, "a summary", "job_7") for _ in range(2))
    assert first == again
    assert {each.headers["idempotency-key"] for each in service.debits()} == {"job_7"}
    assert service.spent() == 30


def test_two_spends_have_two_keys(caller: Caller, service: FakeService) -> None:
    """Where none is given."""
    for _ in range(2):
        caller.do("spend", 30, "a summary")
    assert service.spent() == 60


def test_pauses_grow_with_jitter(caller: Caller, service: FakeService) -> None:
    """Between half of a length that doubles and the whole of it; then the failure is told."""
    service.failures.extend([AWAY] * 5)
    with pytest.raises(fiko_client.ServiceAway) as told:
        caller.do("balance")
    assert told.value.code == "unreachable"
    bounds = [(0.125, 0.25), (0.25, 0.5), (0.5, 1.0), (1.0, 2.0)]
    assert all(
        low <= pause <= high for (low, high), pause in zip(bounds, caller.pauses, strict=True)
    )
    assert len(service.seen) == 5


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_is_waited_for(caller: Caller, service: FakeService, status: int) -> None:
    """As seconds."""
    code = {429: "rate_limited", 503: "database_unavailable"}[status]
    service.failures.append(a_problem(status, code, {"Retry-After": "3"}))
    caller.do("spend", 1, "a summary")
    [pause] = caller.pauses
    assert 3 <= pause <= 3.25


def test_a_retry_after_may_be_a_date(caller: Caller, service: FakeService) -> None:
    """As proxies send it."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=5), usegmt=True)
    service.failures.append(httpx.Response(503, headers={"Retry-After": soon}))
    caller.do("balance")
    [pause] = caller.pauses
    assert 3 < pause <= 5.25


def test_a_wait_beyond_patience_is_not_begun(caller: Caller, service: FakeService) -> None:
    """The caller is told how long it would have been."""
    service.failures.append(a_problem(429, "rate_limited", {"Retry-After": "3600"}))
    with pytest.raises(fiko_client.RateLimited) as told:
        caller.do("balance")
    assert (told.value.retry_after, caller.pauses) == (3600, [])


@pytest.mark.parametrize(
    ("status", "code"), [(500, "internal_error"), (503, "stripe_disabled"), (502, "stripe_refused")]
)
def test_what_will_not_pass_is_told_at_once(
    caller: Caller, service: FakeService, status: int, code: str
) -> None:
    """Another try a moment later would be wasted."""
    service.failures.append(a_problem(status, code))
    with pytest.raises(fiko_client.ServiceAway) as told:
        caller.do("checkout", "token", 4)
    assert (told.value.status, told.value.code, caller.pauses) == (status, code, [])


def test_too_few_tokens(caller: Caller, service: FakeService) -> None:
    """With what there is and what is missing; a service of before names no packages."""
    with pytest.raises(fiko_client.InsufficientTokens) as told:
        caller.do("spend", 130, "a summary")
    error = told.value
    assert (error.status, error.code, error.balance, error.missing, error.buy) == (
        402,
        "insufficient_tokens",
        100,
        30,
        (),
    )
    assert error.detail == "This is insufficient_tokens."
    assert service.spent() == 0


def test_too_few_tokens_with_packages(caller: Caller, service: FakeService) -> None:
    """Each with the body for the checkout call; what is no package is passed over."""
    offer = {
        "plan_id": 4,
        "name": "Small",
        "tokens": 100,
        "currency": "usd",
        "amount": 100,
        "checkout": {"plan_type": "token", "plan_id": 4},
    }
    members: dict[str, Any] = {"balance": -5, "missing": 10, "buy": [offer, None]}
    service.failures.append(a_problem(402, "insufficient_tokens", **members))
    with pytest.raises(fiko_client.InsufficientTokens) as told:
        caller.do("spend", 5, "a summary")
    assert (told.value.balance, told.value.missing) == (-5, 10)
    assert told.value.buy == (
        fiko_client.Offer(4, "Small", 100, "usd", 100, {"plan_type": "token", "plan_id": 4}),
    )


def test_a_key_with_other_content(caller: Caller) -> None:
    """Its own exception."""
    caller.do("spend", 1, "a summary", "job_7")
    with pytest.raises(fiko_client.KeyReused):
        caller.do("spend", 2, "a summary", "job_7")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, fiko_client.Problem),
        (401, fiko_client.Unauthorized),
        (403, fiko_client.Forbidden),
        (404, fiko_client.NotFound),
        (409, fiko_client.Conflict),
        (422, fiko_client.InvalidInput),
    ],
)
def test_each_refusal_has_its_exception(
    caller: Caller, service: FakeService, status: int, kind: type[fiko_client.Problem]
) -> None:
    """With code, detail and whatever else was said; none is tried again."""
    service.failures.append(a_problem(status, "some_code", errors={"body": {"a": ["b"]}}))
    with pytest.raises(kind) as told:
        caller.do("portal")
    assert type(told.value) is kind
    assert (told.value.code, told.value.detail) == ("some_code", "This is some_code.")
    assert told.value.members == {"errors": {"body": {"a": ["b"]}}}
    if isinstance(told.value, fiko_client.InvalidInput):
        assert told.value.errors == {"body": {"a": ["b"]}}
    assert caller.pauses == []


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, b"<html>", {}),
        (200, b"[1]", {}),
        (200, b'{"other": 1}', {}),
        (302, b"", {"Location": "http://elsewhere.test/"}),
    ],
)
def test_an_answer_of_something_else(
    caller: Caller, service: FakeService, status: int, body: bytes, headers: dict[str, str]
) -> None:
    """Somebody else's page is no balance, and a redirect is not followed with a token."""
    service.failures.append(httpx.Response(status, content=body, headers=headers))
    with pytest.raises(fiko_client.UnexpectedAnswer):
        caller.do("balance")
    assert len(service.seen) == 1


def test_a_list_is_fetched_page_by_page(caller: Caller, service: FakeService) -> None:
    """Until no page is left."""
    entry = {"id": 1, "delta": 5, "kind": "grant", "balance_after": 5}
    service.failures.append(httpx.Response(200, json={"items": [entry], "next_cursor": "a b&c"}))
    service.failures.append(httpx.Response(200, json={"items": [], "next_cursor": "d"}))
    service.failures.append(
        httpx.Response(200, json={"items": [{**entry, "id": 2}], "next_cursor": None})
    )
    assert [each.id for each in caller.do("ledger")] == [1, 2]
    assert [each.url.params.get("cursor") for each in service.seen] == [None, "a b&c", "d"]


def test_subscriptions_and_plans(caller: Caller, service: FakeService) -> None:
    """As records; plans come before packages."""
    subscription = {
        "id": "sub_1",
        "status": "active",
        "is_active": True,
        "items": [{"plan_id": 1, "quantity": 2}],
        "current_period_end": "2026-04-01T00:00:00+00:00",
    }
    plan = {"id": 1, "plan_type": "full", "name": "Pro", "tokens": 10, "prices": {"eur": 5}}
    for item in (subscription, plan):
        service.failures.append(httpx.Response(200, json={"items": [item], "next_cursor": None}))
    [held] = caller.do("subscriptions")
    assert held.items == (fiko_client.SubscriptionItem(1, 2),)
    assert held.current_period_end == datetime(2026, 4, 1, tzinfo=UTC)
    assert [each.id for each in caller.do("plans", currency="eur")] == [1, 3, 4, 5]
    assert service.seen[1].url.params["currency"] == "eur"
    assert [each.id for each in caller.do("plans", "token")] == [3, 4, 5]


def test_access(caller: Caller, service: FakeService) -> None:
    """By name, as the API's own example has it; what nobody has heard of is not allowed."""
    service.failures.append(httpx.Response(200, json=AccessSchema.example))
    access = caller.do("access")
    assert list(access) == ["priority_support", "seats"]
    assert [access.allows(each) for each in ("seats", "priority_support", "sso")] == [
        True,
        False,
        False,
    ]
    seats, support = access["seats"], access["priority_support"]
    until = datetime(2026, 4, 8, 0, 0, 7, tzinfo=UTC)
    assert (seats.limit, seats.why.code, seats.until, access.until) == (5, "past_due", until, until)
    assert support.why.text == "No plan that is held includes it."
    assert [(each.plan_id, each.checkout) for each in support.unlocked_by] == [(3, None)]


@pytest.mark.parametrize("answer", [{}, {"features": []}, {"features": {"api": {"allowed": True}}}])
def test_access_that_says_nothing_allows_nothing(
    caller: Caller, service: FakeService, answer: Any
) -> None:
    """It is an error, not a yes."""
    service.failures.append(httpx.Response(200, json=answer))
    with pytest.raises(fiko_client.UnexpectedAnswer):
        caller.do("access")


def test_checkout_and_portal(caller: Caller, service: FakeService) -> None:
    """What is not said is not sent; the key is the same for each try."""
    answer = {"session_id": "cs_1", "url": "https://stripe.test/1", "message": "…"}
    service.failures.extend([AWAY, httpx.Response(200, json=answer)])
    assert caller.do("checkout", "token", 4, currency="eur").url == "https://stripe.test/1"
    assert {each.content for each in service.seen} == {
        b'{"plan_type":"token","plan_id":4,"currency":"eur"}'
    }
    assert len({each.headers["idempotency-key"] for each in service.seen}) == 1
    service.failures.append(httpx.Response(200, json={"url": "https://stripe.test/2"}))
    assert caller.do("portal", return_url="https://app.test/").url == "https://stripe.test/2"
    assert service.seen[-1].content == b'{"return_url":"https://app.test/"}'


@pytest.mark.parametrize(
    ("amount", "reason", "key"),
    [
        (0, "a", None),
        (2**53, "a", None),
        (1, " ", None),
        (1, "a" * 501, None),
        (1, "a\0", None),
        (1, "a", ""),
        (1, "a", "two words"),
        (1, "a", "cl\N{LATIN SMALL LETTER E WITH ACUTE}"),
        (1, "a", "k\r\nX-Other: 1"),
    ],
)
def test_what_is_sure_to_be_refused_is_not_sent(
    caller: Caller, service: FakeService, amount: int, reason: str, key: str | None
) -> None:
    """In a spool it would lie for good."""
    with pytest.raises(ValueError, match=r"amount|reason|key"):
        caller.do("spend", amount, reason, key)
    assert service.seen == []


@pytest.mark.parametrize("amount", [True, 1.0, "1"])
def test_an_amount_is_a_whole_number(caller: Caller, amount: Any) -> None:
    """Nothing else is rounded or read as one."""
    with pytest.raises(TypeError, match="whole number"):
        caller.do("spend", amount, "a summary")


def test_another_user_on_the_same_connections(service: FakeService) -> None:
    """The token decides, and is asked for before each try."""
    tokens = iter([token_for("user_1"), token_for("user_2")])
    service.balances["user_2"] = 7
    client = Client(URL, transport=service.transport)
    with client:
        other = client.as_user(lambda: next(tokens))
        assert [other.balance().balance for _ in range(2)] == [100, 7]
        with pytest.raises(ValueError, match="no token"):
            client.balance()


@pytest.mark.parametrize("address", ["billing.test", "ftp://billing.test", "/billing"])
def test_an_address_is_one(address: str) -> None:
    """Said when the client is made."""
    with pytest.raises(ValueError, match="base_url"):
        Client(address, "token")


def test_patience_has_an_end_in_time(service: FakeService) -> None:
    """Whatever number of tries is left."""
    service.failures.extend([AWAY] * 9)
    pauses: list[float] = []
    client = Client(
        f"{URL}/",
        token_for("user_1"),
        patience=Patience(attempts=9, first_pause=2.0, total=1.9),
        transport=service.transport,
        sleep=pauses.append,
    )
    with pytest.raises(fiko_client.ServiceAway):
        client.balance()
    assert len(pauses) <= 1
