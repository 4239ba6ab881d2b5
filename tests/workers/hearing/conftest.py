"""What tests of the hearing share: an empty outbox, and somebody who delivers from it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from db.engine import make_engine
from db.outbox import messages
from db.outbox.messages import Message, MessageType
from tests.pipeline import empty
from workers.hearing import destinations
from workers.hearing.deliver import Deliverer
from workers.hearing.sending import Sender

Tell = Callable[..., None]
Deliver = Callable[..., None]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database with nothing in it."""
    made = make_engine(database_url, pool_size=6)
    empty(made)
    yield made
    made.dispose()


@pytest.fixture
def tell(engine: Engine) -> Tell:
    """Writes a message, as a change would."""

    def write(user: str = "u", kind: MessageType = MessageType.TOKENS_CHANGED, **data: Any) -> None:
        with engine.begin() as connection:
            messages.write(connection, [Message(user, kind, data)])

    return write


@pytest.fixture
def deliver(engine: Engine) -> Deliver:
    """Tells all destinations whatever is due, until nothing is."""

    def run(*, seconds: float = 2.0) -> None:
        async def settle() -> None:
            deliverer = Deliverer(engine, Sender(allow_private=True, timeout_seconds=seconds))
            await deliverer.settle()
            await deliverer.close()

        asyncio.run(settle())

    return run


@pytest.fixture
def add(engine: Engine) -> Callable[..., tuple[str, str]]:
    """Adds a destination; its id and its secret."""

    def made(url: str, *types: str) -> tuple[str, str]:
        return destinations.add(engine, url, types, allow_private=True)

    return made
