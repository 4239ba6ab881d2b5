"""Asks the receiver's read endpoints what a user has. Read only; one connection per thread."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import jwt
import orjson

from sandbox.simulate.wire import BROKEN, Wire

_TOKEN_SECONDS = 600
_OK = 200
_TOO_MANY = 429
# The most a list gives at once.
_PAGE = 200

Json = dict[str, Any]


class ReadError(Exception):
    """An endpoint did not answer, or not as it should; the message says which and how."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the receiver says a user has."""

    balance: int
    subscriptions: tuple[Json, ...]
    payments: tuple[Json, ...]
    ledger: tuple[Json, ...]
    access: Json | None = None


def token_maker(secret: str, audience: str, issuer: str) -> Callable[[str], str]:
    """Return a function that signs a short-lived token for a user."""

    def make(user_id: str) -> str:
        now = int(time.time())
        claims: Json = {"sub": user_id, "iat": now, "exp": now + _TOKEN_SECONDS}
        if audience:
            claims["aud"] = audience
        if issuer:
            claims["iss"] = issuer
        return jwt.encode(claims, secret, algorithm="HS256")

    return make


class Reader:
    """The read endpoints, for any user."""

    def __init__(self, base_url: str, token_for: Callable[[str], str]) -> None:
        self._base_url = base_url
        self._token_for = token_for
        self._here = threading.local()
        self._wires: list[Wire] = []

    def close(self) -> None:
        """Hang up on every thread's connection."""
        for wire in self._wires:
            wire.close()

    def balance(self, user_id: str) -> int:
        """Return the user's token balance."""
        return int(self.answer("/billing/tokens/", user_id)["balance"])

    def everything(self, user_id: str, *, with_access: bool = False) -> Found:
        """Return all that is compared for a user."""
        return Found(
            balance=self.balance(user_id),
            subscriptions=self.items("/billing/subscriptions/", user_id),
            payments=self.items("/billing/payments/", user_id),
            ledger=self.items("/billing/tokens/ledger/", user_id),
            access=self.answer("/billing/access/", user_id) if with_access else None,
        )

    def items(self, path: str, user_id: str) -> tuple[Json, ...]:
        """Return every item of a list, page after page."""
        gathered: list[Json] = []
        query = {"limit": str(_PAGE)}
        while True:
            page = self.answer(f"{path}?{urlencode(query)}", user_id)
            gathered += page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return tuple(gathered)
            query["cursor"] = str(cursor)

    def answer(self, path: str, user_id: str) -> Json:
        """Return what an endpoint answers; raises `ReadError` where it does not."""
        headers = {"Authorization": f"Bearer {self._token_for(user_id)}"}
        try:
            status, body = self._wire().request("GET", path, headers)
            if status == _TOO_MANY:
                time.sleep(1)
                status, body = self._wire().request("GET", path, headers)
            if status == _OK:
                answer: Json = orjson.loads(body)
                return answer
        except BROKEN as error:
            raise ReadError(f"nothing answers at {self._base_url}{path}: {error}") from error
        except orjson.JSONDecodeError as error:
            raise ReadError(f"GET {path} answered no JSON") from error
        said = body[:300].decode("utf-8", "replace")
        raise ReadError(f"GET {path} answered {status}: {said}")

    def _wire(self) -> Wire:
        wire: Wire | None = getattr(self._here, "wire", None)
        if wire is None:
            wire = self._here.wire = Wire(self._base_url)
            self._wires.append(wire)
        return wire
