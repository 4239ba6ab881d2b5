"""The worker's context: what its tasks need, made once a process, after the fork."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cache

from sqlalchemy import Engine

import settings
from db.engine import make_engine
from db.ledger.catalogue import CatalogueCache
from db.outbox.hints import Hints
from db.queue import formats, stream
from db.queue.heartbeat import Heartbeat
from db.queue.leases import Leased
from db.queue.stream import EventStream
from stripe_gateway import StripeGateway, open_gateway
from workers.liveness import consumer_id
from workers.pipeline.batch import BatchSize
from workers.pipeline.failure import RETRY_DELAYS_SECONDS
from workers.questions.own_account import OwnAccount, configured

# Longer than a drain waits for entries, so this only bounds a Redis that does not answer.
REDIS_TIMEOUT_SECONDS = 3.0
# So long a drain that found events waits for more. Longer saves little: it spares one message of
# Celery a second then. Everything else that a worker does may wait for it as long.
LINGER_SECONDS = 1.0
# A batch that finds its connection dead is tried again, so one that was just used is not tested.
TRUSTED_SECONDS = 1.0


def _nothing(*_: object) -> None:
    """Do nothing: the default where no sweep is to be noted, and nobody listens to hints."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The connections and settings of one worker process.

    `consumer` is its name in the stream's group. Without a `gateway` (no Stripe key) the worker
    asks Stripe nothing. `test_mode` is the mode whose events it applies; None applies both. It
    applies no event of another account than `own`. `beat` notes that a sweep runs, `hint` says whom
    there are new messages for. A failed event
    is retried after `retry_delays_seconds`. `trials` is the setting: what a user tries once.
    Of thin events no more than `questions_per_second` are asked, by all workers together.
    `is_gone` says whether the process of a consumer's name has certainly ended. `size` is how many
    events are taken at once. `left` are leased events that this process could not try. A drain that
    found events in the stream waits `linger_seconds` for more.
    """

    engine: Engine
    events: EventStream
    consumer: str
    catalogue: CatalogueCache = field(default_factory=CatalogueCache)
    gateway: StripeGateway | None = None
    test_mode: bool | None = None
    own: OwnAccount = field(default_factory=OwnAccount)
    beat: Callable[[], object] = _nothing
    hint: Callable[[Collection[str]], object] = _nothing
    retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS
    trials: str = "once"
    questions_per_second: float = 20.0
    is_gone: Callable[[str], bool] = consumer_id.is_gone
    size: BatchSize = field(default_factory=BatchSize)
    left: list[Leased] = field(default_factory=list)
    linger_seconds: float = 0.0

    @property
    def can_ask(self) -> bool:
        """Whether this worker can ask Stripe about what its events leave open."""
        return self.gateway is not None


@cache
def context() -> WorkerContext:
    """The context of this process, from the settings; made on first use, so after the fork."""
    config = settings.load(needs=("database_url", "redis_url"))
    client = stream.connect(config.redis_url, timeout_seconds=REDIS_TIMEOUT_SECONDS)
    formats.follow(config.redis_url, config.body_dictionary)
    return WorkerContext(
        engine=make_engine(
            config,
            pool_size=2,
            application_name="fiko-worker",
            trusted_seconds=TRUSTED_SECONDS,
            prepares=True,
        ),
        events=EventStream(client),
        consumer=consumer_id.own_name(),
        gateway=open_gateway(config),
        test_mode=config.stripe_test_mode,
        own=configured(config),
        beat=Heartbeat(client).beat,
        hint=Hints(client).publish,
        retry_delays_seconds=config.retry_delays_seconds,
        trials=config.trials,
        questions_per_second=config.stripe_questions_per_second,
        linger_seconds=LINGER_SECONDS,
    )
