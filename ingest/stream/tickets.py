"""Tickets for the stream: a browser's EventSource sends no header, so a ticket stands in its URL.

A ticket lives a minute and works once. Redis holds its hash only, so that nobody who reads Redis
can use one.
"""

import hashlib
import json
import secrets
from typing import cast

import redis

from ingest.http.auth import Caller

LIFE_SECONDS = 60
_KEY = "billing:ticket:"
_BYTES = 24
# Longer than any ticket; what is longer is not looked up.
LENGTH_MAX = 64


class Tickets:
    """Issues and redeems tickets, on one Redis client."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def issue(self, caller: Caller) -> str:
        """A new ticket for this caller. Raises `redis.RedisError` or OSError without Redis."""
        ticket = secrets.token_urlsafe(_BYTES)
        content = json.dumps({"user": caller.user_id, "expires_at": caller.expires_at})
        self._client.set(_key(ticket), content, ex=LIFE_SECONDS)
        return ticket

    def redeem(self, ticket: str) -> Caller | None:
        """The caller whom a ticket was issued to, once; None for any other text.

        The caller has no scopes: a ticket is good for the stream alone. Raises `redis.RedisError`
        or OSError without Redis.
        """
        if not ticket or len(ticket) > LENGTH_MAX:
            return None
        content = cast("bytes | None", self._client.getdel(_key(ticket)))
        if content is None:
            return None
        members = json.loads(content)
        return Caller(members["user"], frozenset(), members["expires_at"])


def _key(ticket: str) -> str:
    return _KEY + hashlib.sha256(ticket.encode()).hexdigest()
