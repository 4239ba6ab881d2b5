"""A Fiko Billing of a few lines for the Python client: a ledger by key, and failures as told."""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from fiko_client.calls import user_of
from tests.ingest.builders import a_token

URL = "http://billing.test"
PROBLEM = {"content-type": "application/problem+json"}
PACKAGES = [
    {"id": 3, "plan_type": "token", "name": "Large", "tokens": 1000, "amount": 900},
    {"id": 4, "plan_type": "token", "name": "Small", "tokens": 100, "amount": 100},
    {"id": 5, "plan_type": "token", "name": "Tiny", "tokens": 1, "amount": 10},
]

Failure = httpx.Response | Exception


def a_problem(
    status: int, code: str, headers: dict[str, str] | None = None, **members: Any
) -> httpx.Response:
    """A refusal as the API words it."""
    body = {"status": status, "code": code, "detail": f"This is {code}.", **members}
    return httpx.Response(status, json=body, headers={**PROBLEM, **(headers or {})})


@dataclass
class FakeService:
    """Answers by the API's rules; `failures` come first, each once, before or after the work."""

    balances: dict[str, int] = field(default_factory=dict)
    entries: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    failures: deque[Failure] = field(default_factory=deque)
    # Raised once the work is done: the answer is lost.
    lost_answers: int = 0
    seen: list[httpx.Request] = field(default_factory=list)
    on_balance: Callable[[], None] = lambda: None

    @property
    def transport(self) -> httpx.MockTransport:
        """For a client, with or without an event loop."""
        return httpx.MockTransport(self)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.seen.append(request)
        if self.failures:
            failure = self.failures.popleft()
            if isinstance(failure, Exception):
                raise failure
            return failure
        user = user_of(request.headers["authorization"].removeprefix("Bearer "))
        answer = self._answer(request, user)
        if self.lost_answers:
            self.lost_answers -= 1
            raise httpx.ReadError("the connection ended")
        return answer

    def _answer(self, request: httpx.Request, user: str) -> httpx.Response:
        path = request.url.path
        if path == "/billing/tokens/":
            balance = self.balances.get(user, 0)
            self.on_balance()
            return httpx.Response(200, json={"balance": balance, "updated_at": None})
        if path == "/billing/tokens/debit/":
            return self._debit(
                user, request.headers["idempotency-key"], json.loads(request.content)
            )
        if path == "/billing/plans/token/":
            return httpx.Response(200, json={"items": PACKAGES, "next_cursor": None})
        return a_problem(404, "not_found")

    def _debit(self, user: str, key: str, body: dict[str, Any]) -> httpx.Response:
        posted = self.entries.get((user, key))
        if posted:
            same = (posted["delta"], posted["reason"]) == (-body["amount"], body["reason"])
            return (
                httpx.Response(200, json=posted)
                if same
                else a_problem(409, "idempotency_key_reused")
            )
        balance = self.balances.get(user, 0)
        if balance < body["amount"]:
            members = {"balance": balance, "amount": body["amount"]}
            return a_problem(402, "insufficient_tokens", **members)
        self.balances[user] = balance - body["amount"]
        entry = {
            "id": len(self.entries) + 1,
            "delta": -body["amount"],
            "kind": "debit",
            "balance_after": self.balances[user],
            "payment_id": None,
            "event_id": None,
            "reason": body["reason"],
            "created_at": "2026-03-01T08:30:00+00:00",
            "a_field_of_tomorrow": {},
        }
        self.entries[user, key] = entry
        return httpx.Response(201, json=entry)

    def debits(self) -> list[httpx.Request]:
        """The debits that were asked for."""
        return [each for each in self.seen if each.url.path == "/billing/tokens/debit/"]

    def spent(self, user: str = "user_1") -> int:
        """What the ledger took from a user."""
        taken = [int(each["delta"]) for (owner, _), each in self.entries.items() if owner == user]
        return -sum(taken)


def token_for(user: str) -> str:
    """A token that may spend."""
    return a_token(user=user, scope="tokens:debit")
