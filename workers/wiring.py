"""Builds what a worker process needs, once and after the fork: pool, stream client, catalogue."""

import os
import socket
from dataclasses import dataclass, field
from functools import cache

from sqlalchemy import Engine

import settings
from db import stream
from db.engine import make_engine
from db.stream import EventStream
from workers.apply import CatalogueCache

# The stream is read without waiting, so this only bounds a Redis that does not answer.
REDIS_TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Wiring:
    """The ports of one worker process; `consumer` is its name in the stream's group."""

    engine: Engine
    events: EventStream
    consumer: str
    catalogue: CatalogueCache = field(default_factory=CatalogueCache)


@cache
def wiring() -> Wiring:
    """The wiring of this process, from the settings; made on first use, so after the fork."""
    found = settings.load(needs=("database_url", "redis_url"))
    client = stream.connect(found.redis_url, timeout_seconds=REDIS_TIMEOUT_SECONDS)
    return Wiring(
        engine=make_engine(found.database_url, pool_size=2, application_name="fiko-worker"),
        events=EventStream(client),
        consumer=f"{socket.gethostname()}:{os.getpid()}",
    )
