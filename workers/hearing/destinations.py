"""What operators do with destinations: ids and secrets are made here, a first message is tried."""

import asyncio
import base64
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import Engine

from db.outbox import deliveries
from db.outbox import destinations as tables
from db.outbox.destinations import Destination
from db.outbox.messages import MessageType, Written
from domain.errors import BillingError
from workers.hearing.addresses import Resolve, checked_url, look_up, target_of
from workers.hearing.sending import Answer, Sender

# Standard Webhooks asks for 24 to 64 bytes.
SECRET_BYTES = 32
TEST = "destination.test"
_NOBODY = "nobody"


def new_secret() -> str:
    """A secret as Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def checked_types(types: Sequence[str]) -> list[str]:
    """Types of messages, each once, in the contract's order; raises for an unknown one."""
    known = [kind.value for kind in MessageType]
    unknown = [name for name in types if name not in known]
    if unknown:
        raise BillingError(f"There is no type {unknown[0]}; there are {', '.join(known)}.")
    return [name for name in known if name in types]


def add(
    engine: Engine,
    url: str,
    types: Sequence[str] = (),
    *,
    allow_private: bool,
    resolve: Resolve = look_up,
) -> tuple[str, str]:
    """A new destination; returns its id and its secret, which nobody can read again.

    Raises `AddressRefusedError` where nothing would be sent to this URL, now or ever. A name that
    nobody knows yet is taken: it may come to be known.
    """
    checked_url(url, allow_private=allow_private)
    with suppress(OSError):
        asyncio.run(target_of(url, resolve, allow_private=allow_private))
    destination_id, secret = f"dest_{secrets.token_hex(8)}", new_secret()
    with engine.begin() as connection:
        tables.add(connection, destination_id, url, secret, checked_types(types))
    return destination_id, secret


def rotate(engine: Engine, destination_id: str) -> str:
    """Give a destination a new secret and return it; the one before signs as well for a day."""
    secret = new_secret()
    with engine.begin() as connection:
        tables.rotate(connection, destination_id, secret)
    return secret


def try_out(destination: Destination, *, allow_private: bool, resolve: Resolve = look_up) -> Answer:
    """Send a destination a message that tells of nothing, also while it is paused."""
    message = Written(_NOBODY, 0, TEST, {"destination": destination.id}, datetime.now(UTC))

    async def send() -> Answer:
        sender = Sender(allow_private=allow_private, resolve=resolve)
        try:
            msg_id = f"msg_test_{secrets.token_hex(8)}"
            return await sender.send(destination.url, destination.secrets, msg_id, message.body())
        finally:
            await sender.close()

    return asyncio.run(send())


def resend(
    engine: Engine,
    destination_id: str,
    *,
    since: datetime | None,
    types: Sequence[str],
    user_id: str | None,
) -> int:
    """Have kept messages told once more; returns how many."""
    wanted = checked_types(types)
    with engine.begin() as connection:
        # What waits to be assigned keeps its order only when it is assigned first.
        while deliveries.assign(connection):
            pass
        return tables.resend(connection, destination_id, since=since, types=wanted, user_id=user_id)
