"""What the receiver holds: one of each connection, made once in each process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import redis
from flask import current_app
from sqlalchemy import Engine

import celery_config
from db.engine import make_engine
from db.ledger.catalogue import CatalogueCache
from db.outbox.hints import Hints
from db.queue import formats
from db.queue.copies import WAIT_SECONDS_MAX
from db.queue.stream import EventStream, connect
from ingest.http.auth import Authenticator
from ingest.intake.durability import DurabilityCheck
from ingest.intake.intake import Intake
from ingest.intake.wake_up import BackgroundWakeUp
from settings import Settings
from stripe_gateway import StripeGateway, open_gateway

# The receiver must answer Stripe soon, with or without Redis.
REDIS_TIMEOUT_SECONDS = 0.25
# Fewer than there are threads: whoever waits for Stripe holds none.
DATABASE_CONNECTIONS = 8

_KEY = "billing"


@dataclass(frozen=True, slots=True)
class ReceiverContext:
    """Settings and connections; nothing is connected before it is used.

    Without a `gateway` no request asks Stripe, and nobody can buy.
    """

    settings: Settings
    engine: Engine
    redis: redis.Redis
    durability: DurabilityCheck
    intake: Intake
    authenticator: Authenticator
    hints: Hints
    gateway: StripeGateway | None = None
    catalogue: CatalogueCache = field(default_factory=CatalogueCache)


def open_context(
    settings: Settings, *, send_wake_up: Callable[[], object] | None = None
) -> ReceiverContext:
    """A context on the configured database, Redis and broker; make it after fork.

    `send_wake_up` asks for a drain in another way than by the broker.
    """
    engine = make_engine(
        settings,
        pool_size=DATABASE_CONNECTIONS,
        application_name="fiko-billing web",
    )
    copies = settings.redis_copies
    # A packet with too few copies must be answered so, not be cut off.
    timeout_seconds = REDIS_TIMEOUT_SECONDS + (WAIT_SECONDS_MAX if copies else 0.0)
    client = connect(settings.redis_url, timeout_seconds=timeout_seconds)
    durability = DurabilityCheck(client, settings.intake, copies=copies)
    intake = Intake(
        stream=EventStream(client, copies=copies),
        durability=durability,
        engine=engine,
        copies=settings.database_copies,
        send_wake_up=send_wake_up or BackgroundWakeUp(_broker_wake_up(settings)),
    )
    return ReceiverContext(
        settings=settings,
        engine=engine,
        redis=client,
        durability=durability,
        intake=intake,
        authenticator=Authenticator(settings),
        hints=Hints(client),
        gateway=open_gateway(settings),
    )


def _broker_wake_up(settings: Settings) -> Callable[[], object]:
    celery = celery_config.make_app(settings, publisher=True)
    return lambda: celery.send_task(celery_config.DRAIN, ignore_result=True)


def follow_formats(settings: Settings) -> None:
    """Keep to what every live worker reads; call it once in each process that serves."""
    formats.follow(settings.redis_url, settings.body_dictionary)


def attach(extensions: dict[str, object], opened: ReceiverContext) -> None:
    """Make this the context of the app whose extensions these are."""
    extensions[_KEY] = opened


def context_of(extensions: Mapping[str, object]) -> ReceiverContext:
    """The context of the app whose extensions these are."""
    return cast("ReceiverContext", extensions[_KEY])


def current_context() -> ReceiverContext:
    """The context of the app that answers the current request."""
    return context_of(current_app.extensions)
