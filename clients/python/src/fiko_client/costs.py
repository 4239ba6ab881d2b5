"""`@costs(tokens=5)`: a view that costs tokens, in Flask, FastAPI and Django.

Before the view runs the balance must cover it; once the view has succeeded the tokens are spent.
So a view that fails costs nothing, also when the process dies in the middle of it: what was never
taken need not be given back. Why not the other way round is in the README.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar, cast

import anyio.to_thread

from fiko_client.async_client import AsyncClient
from fiko_client.calls import checked_key, new_key
from fiko_client.client import Client
from fiko_client.connection import Away
from fiko_client.errors import NOT_OK, FikoError, InsufficientTokens, RateLimited, ServiceAway
from fiko_client.in_flight import InFlight, Taken
from fiko_client.models import Plan

P = ParamSpec("P")
R = TypeVar("R")

_PAYMENT_REQUIRED = 402
# How often the balance is read again because another view of the user spent meanwhile.
_LOOKS = 3
# One for the process: two decorated views of one user count on the same balance.
_in_flight = InFlight()


def costs(
    tokens: int,
    client: Client | AsyncClient,
    *,
    token: Callable[..., str] | None = None,
    reason: str | None = None,
    key: Callable[..., str | None] | None = None,
    away: Away = "refuse",
    failed: Callable[[object], bool] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view cost tokens, which are spent when it succeeds.

    `token` gives the user's JWT; it is called with what the view is called with, and so is `key`.
    A `key` names what is paid for, so that it is paid once however often it is asked for. Never
    take it from the user as it is: under one key a thousand different requests cost as one.
    `failed` says of an answer whether the view failed; by default one with a status from 400 did.
    `away` is as in `spend`: with `spool` the view also runs while the balance cannot be known.

    Raises `InsufficientTokens` before the view runs, or in place of its answer where the tokens
    were spent elsewhere meanwhile.
    """
    if tokens < 1:
        raise ValueError("tokens is 1 or more")

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        cost = _Cost(tokens, reason or view.__name__, away, failed or has_failed, token, key)
        if not inspect.iscoroutinefunction(view):
            if isinstance(client, AsyncClient):
                raise TypeError("a view without async needs a Client")
            return _paid(view, cost, client)
        paid = _paid_async(cast("Callable[P, Awaitable[Any]]", view), cost, client)
        return cast("Callable[P, R]", paid)

    return decorate


def has_failed(answer: object) -> bool:
    """Whether an answer says that the view failed: a response, or Flask's tuple with a status."""
    status = getattr(answer, "status_code", None)
    if status is None and isinstance(answer, tuple) and len(answer) > 1:
        status = answer[1]
    return isinstance(status, int) and status >= NOT_OK


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a view costs, and how to find out who pays."""

    tokens: int
    reason: str
    away: Away
    failed: Callable[[object], bool]
    token: Callable[..., str] | None
    key: Callable[..., str | None] | None

    def key_of(self, args: tuple[object, ...], named: Mapping[str, Any]) -> str:
        """The key of one request."""
        given = self.key(*args, **named) if self.key else None
        return new_key() if given is None else checked_key(given)

    def offer(self, error: InsufficientTokens, packages: list[Plan]) -> None:
        """Add to a refusal the packages that would cover what is missing, as the API does."""
        covering = [each for each in packages if each.tokens >= error.missing]
        error.members["buy"] = [
            {
                "plan_id": each.id,
                "name": each.name,
                "tokens": each.tokens,
                "interval": each.interval,
                "currency": each.currency,
                "amount": each.amount,
                "checkout": {"plan_type": each.plan_type, "plan_id": each.id},
            }
            for each in sorted(covering, key=lambda each: (each.amount or 0, each.id))
        ]


@dataclass(slots=True)
class _Cover:
    """Whether a balance covers a view beside those that run already."""

    cost: _Cost
    taken: Taken
    looks: int = 0
    seen: tuple[int, int] = field(default=(0, 0))

    def look(self) -> None:
        """Call this before the balance is read."""
        self.looks += 1
        self.seen = self.taken.earlier()

    def covers(self, balance: int) -> bool:
        """True: the view may run; False: the balance moved meanwhile and is to be read again.

        Raises `InsufficientTokens`.
        """
        earlier, _ = self.seen
        if balance - earlier >= self.cost.tokens:
            return True
        moved = self.taken.earlier() != self.seen
        if moved and balance >= self.cost.tokens:
            # Whoever finds it moving every time may run: the ledger has the last word.
            return self.looks >= _LOOKS
        raise _refusal(self.cost.tokens, balance, earlier)


def _refusal(amount: int, balance: int, earlier: int) -> InsufficientTokens:
    others = f", of which {earlier} are about to be spent" if earlier else ""
    detail = f"The balance is {balance} tokens{others}; {amount} are needed."
    members = {"balance": balance, "amount": amount, "missing": amount - (balance - earlier)}
    return InsufficientTokens(_PAYMENT_REQUIRED, "insufficient_tokens", detail, members=members)


def _paid(view: Callable[P, R], cost: _Cost, client: Client) -> Callable[P, R]:
    @functools.wraps(view)
    def run(*args: P.args, **named: P.kwargs) -> R:
        payer = client.as_user(cost.token(*args, **named)) if cost.token else client
        key = cost.key_of(args, named)
        with _in_flight.taking(payer.user, cost.tokens) as taken:
            _require(payer, _Cover(cost, taken))
            answer = view(*args, **named)
            if not cost.failed(answer):
                taken.release()
                payer.spend(cost.tokens, cost.reason, key, away=cost.away)
        return answer

    return run


def _require(payer: Client, cover: _Cover) -> None:
    """Raise where the balance does not cover the view."""
    try:
        cover.look()
        while not cover.covers(payer.balance().balance):
            cover.look()
    except InsufficientTokens as error:
        with suppress(FikoError):
            cover.cost.offer(error, list(payer.plans("token")))
        raise
    except (ServiceAway, RateLimited):
        if cover.cost.away == "refuse":
            raise


def _paid_async(
    view: Callable[P, Awaitable[R]], cost: _Cost, client: Client | AsyncClient
) -> Callable[P, Awaitable[R]]:
    @functools.wraps(view)
    async def run(*args: P.args, **named: P.kwargs) -> R:
        payer = client.as_user(cost.token(*args, **named)) if cost.token else client
        key = cost.key_of(args, named)
        with _in_flight.taking(payer.user, cost.tokens) as taken:
            await _require_async(payer, _Cover(cost, taken))
            answer = await view(*args, **named)
            if not cost.failed(answer):
                taken.release()
                await _spend_async(payer, cost, key)
        return answer

    return run


async def _require_async(payer: Client | AsyncClient, cover: _Cover) -> None:
    if isinstance(payer, Client):
        await anyio.to_thread.run_sync(_require, payer, cover)
        return
    try:
        cover.look()
        while not cover.covers((await payer.balance()).balance):
            cover.look()
    except InsufficientTokens as error:
        with suppress(FikoError):
            cover.cost.offer(error, [each async for each in payer.plans("token")])
        raise
    except (ServiceAway, RateLimited):
        if cover.cost.away == "refuse":
            raise


async def _spend_async(payer: Client | AsyncClient, cost: _Cost, key: str) -> None:
    if isinstance(payer, AsyncClient):
        await payer.spend(cost.tokens, cost.reason, key, away=cost.away)
        return
    spend = functools.partial(payer.spend, away=cost.away)
    await anyio.to_thread.run_sync(spend, cost.tokens, cost.reason, key)
