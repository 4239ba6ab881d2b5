"""Whether the releases that run side by side can read what each other writes."""

import redis
from sqlalchemy import Engine

from db import bodies
from db.queue import inbox
from db.queue.formats import Readers
from settings import Settings
from workers.operations.findings import Finding, Level

_SUBJECT = "releases"


def look(engine: Engine, client: redis.Redis, settings: Settings) -> list[Finding]:
    """What the live workers read, and what none of them could."""
    return [*_readers(client, settings), *_left(engine)]


def _readers(client: redis.Redis, settings: Settings) -> list[Finding]:
    live = Readers(client).live()
    if not live:
        return []
    agreed = min(live.values())
    says = f"{len(live)} worker(s) read dictionary {agreed}"
    if agreed < bodies.NEWEST:
        says += f", not all of them {bodies.NEWEST}: bodies are written with the older one"
    elif settings.body_dictionary < agreed:
        says += f", BODY_DICTIONARY={settings.body_dictionary} has bodies written the old way"
    return [Finding(_SUBJECT, Level.OK, says)]


def _left(engine: Engine) -> list[Finding]:
    with engine.connect() as connection:
        number = inbox.left_for_newer(connection)
    if not number:
        return []
    says = f"{number} events wait for a worker of a newer release, which can read them"
    cure = "start a worker of the release that wrote them; they are applied by themselves"
    return [Finding(_SUBJECT, Level.WARN, says, cure)]
