"""The client for programs without an event loop."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Literal, Self, overload

import httpx

from fiko_client import calls
from fiko_client.access import Access, access_of
from fiko_client.connection import (
    TIMEOUT,
    Away,
    Outage,
    Token,
    answered,
    base_url_of,
    bearer,
    headers_of,
    needed,
    unreachable,
)
from fiko_client.errors import FikoError, RateLimited, ServiceAway
from fiko_client.models import (
    Balance,
    Checkout,
    LedgerEntry,
    Plan,
    PlanType,
    Portal,
    Spooled,
    Subscription,
    read,
)
from fiko_client.patience import ONE_TRY, Attempts, Patience
from fiko_client.settling import Settled, Settling, SettlingThread, TokenFor
from fiko_client.spool import Spool, SpooledSpend


class Client:
    """Asks Fiko Billing for one user; threads may share it.

    `token` is the user's JWT or a callable that gives it, asked before each request. `spool` is a
    file for spends while the service is away. `as_user` gives a client for another user on the
    same connections.
    """

    def __init__(
        self,
        base_url: str,
        token: Token | None = None,
        *,
        spool: Spool | str | os.PathLike[str] | None = None,
        patience: Patience | None = None,
        timeout: httpx.Timeout | float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = httpx.Client(
            base_url=base_url_of(base_url), timeout=timeout, transport=transport
        )
        self._token = token
        self._spool = spool if isinstance(spool, Spool) or spool is None else Spool(spool)
        self._patience = patience or Patience()
        self._sleep = sleep
        self._outage = Outage()

    def as_user(self, token: Token) -> Self:
        """A client for another user, on the same connections and spool. Close the first one."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _token=token)
        return other

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def user(self) -> str:
        """Whose client it is: the `sub` of the token."""
        return calls.user_of(bearer(self._token))

    def balance(self) -> Balance:
        """The user's tokens."""
        return read(Balance, self._send(calls.balance()))

    @overload
    def spend(
        self, amount: int, reason: str, key: str | None = None, *, away: Literal["refuse"] = ...
    ) -> LedgerEntry: ...

    @overload
    def spend(
        self, amount: int, reason: str, key: str | None = None, *, away: Away
    ) -> LedgerEntry | Spooled: ...

    def spend(
        self, amount: int, reason: str, key: str | None = None, *, away: Away = "refuse"
    ) -> LedgerEntry | Spooled:
        """Spend tokens, once for the key, which is made here where none is given.

        Raises `InsufficientTokens` and `KeyReused`. While the service is away `refuse` tries
        again for a while and raises `ServiceAway`; `spool` tries once, keeps the spend on disk
        and returns `Spooled`.
        """
        spend = calls.Spend.of(amount, reason, key)
        if away == "refuse":
            return read(LedgerEntry, self._send(spend.call))
        spool, token = needed(self._spool), bearer(self._token)
        user = calls.user_of(token)
        if not self._outage.is_on:
            try:
                return read(LedgerEntry, self._send(spend.call, token=token, patience=ONE_TRY))
            except (ServiceAway, RateLimited):
                self._outage.notice()
        spool.add(user, spend)
        return Spooled(user, spend.key, amount, reason)

    def ledger(self) -> Iterator[LedgerEntry]:
        """Every line of the ledger, newest first; pages are fetched as they are needed."""
        return (read(LedgerEntry, each) for each in self._items(calls.LEDGER))

    def subscriptions(self) -> Iterator[Subscription]:
        """The user's subscriptions, newest first, those that ended too."""
        return (read(Subscription, each) for each in self._items(calls.SUBSCRIPTIONS))

    def plans(
        self, plan_type: PlanType | None = None, *, currency: str | None = None
    ) -> Iterator[Plan]:
        """What is on sale: plans, then token packages, or only one kind."""
        query = {"currency": currency} if currency else {}
        for kind, path in calls.PLANS.items():
            if plan_type in (None, kind):
                yield from (read(Plan, each) for each in self._items(path, query))

    def access(self) -> Access:
        """What the user may use now, and why."""
        return access_of(self._send(calls.access()))

    def checkout(
        self,
        plan_type: PlanType,
        plan_id: int,
        *,
        success_url: str | None = None,
        cancel_url: str | None = None,
        currency: str | None = None,
        key: str | None = None,
    ) -> Checkout:
        """Where to send the user to buy a plan or package."""
        call = calls.checkout(
            plan_type,
            plan_id,
            success_url=success_url,
            cancel_url=cancel_url,
            currency=currency,
            key=key,
        )
        return read(Checkout, self._send(call))

    def portal(
        self,
        *,
        return_url: str | None = None,
        flow: str | None = None,
        subscription_id: str | None = None,
    ) -> Portal:
        """Where to send the user to manage what was bought."""
        call = calls.portal(return_url=return_url, flow=flow, subscription_id=subscription_id)
        return read(Portal, self._send(call))

    def settle_spool(self, token_for: TokenFor | None = None, *, due_only: bool = False) -> Settled:
        """Send what waits in the spool, and cross out what is in the ledger.

        `token_for` gives the token of a user by name; without it only the spends of this client's
        own user are sent. Any number of processes may settle one spool. `due_only` leaves what
        could not be paid a moment ago.
        """
        spool = needed(self._spool)
        settling = Settling(spool, token_for, lambda: bearer(self._token))
        try:
            for each in spool.waiting(due_only=due_only):
                token = settling.token_of(each)
                if token is not None and not self._settle(each, token, settling):
                    break
        finally:
            settling.finish()
        return settling.outcome

    def _settle(self, spend: SpooledSpend, token: str, settling: Settling) -> bool:
        """Send one spend; returns whether to go on."""
        try:
            self._send(spend.spend.call, token=token)
        except FikoError as error:
            return settling.failed(spend, error)
        settling.done(spend)
        return True

    def settling(self, token_for: TokenFor | None = None, *, every: float = 5.0) -> SettlingThread:
        """A thread that settles the spool while a `with` block runs."""
        return SettlingThread(lambda: self.settle_spool(token_for, due_only=True), every)

    def _items(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[object]:
        cursor: str | None = None
        while True:
            items, cursor = calls.items_of(self._send(calls.page(path, cursor, query or {})))
            yield from items
            if cursor is None:
                return

    def _send(
        self, call: calls.Call, *, token: str | None = None, patience: Patience | None = None
    ) -> Mapping[str, object]:
        """Send a request until it is answered, as long as patience lasts."""
        attempts = Attempts(patience or self._patience)
        while True:
            try:
                return self._try(call, bearer(self._token) if token is None else token)
            except (ServiceAway, RateLimited) as error:
                pause = attempts.pause_after(error)
                if pause is None:
                    raise
            self._sleep(pause)

    def _try(self, call: calls.Call, token: str) -> Mapping[str, object]:
        try:
            response = self._http.request(
                call.method,
                call.path,
                params=call.query,
                json=call.body,
                headers=headers_of(call, token),
            )
        except httpx.RequestError as error:
            raise unreachable(error) from error
        return answered(response)
