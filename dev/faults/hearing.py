"""Who hears of changes during a fault run, and whether they know everything in the end.

Two receivers of outgoing webhooks misbehave, each in its own order, while the faults hit, and each
loses all it knew once. A sample of users listens to the stream. In the end the receivers that
forgot are told again by `destinations resend`, and what everybody knows is compared with the API.
"""

import random
import re
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psycopg2

from dev.faults.heard import Heard, heard_of, shown
from dev.faults.listeners import Listener, until
from dev.faults.product import Product
from dev.faults.receivers import BEHAVIORS, WELL, Receiver, receiving
from sandbox.simulate.reading import Reader, token_maker

RECEIVERS = 2
STREAMS = 50
# Of the open streams, so many are cut before each fault.
CUT_SHARE = 0.2
# Longer than the longest pause of a destination that took nothing.
TOLD_SECONDS_MAX = 400.0
STREAMED_SECONDS_MAX = 45.0
_READERS = 4

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hearing:
    """What became of those who hear.

    `messages` are in the outbox; receivers were told in `attempts`, of which they took `taken`,
    `untold` users were still to be told something in the end. `wrong` counts users of whom a
    receiver knows otherwise than the API says, `overtaken` messages that came before an earlier
    one of their user, `strange` what was not signed as promised. `gaps` are messages that a stream
    left out, doubled or put in another order.
    """

    messages: int = 0
    attempts: int = 0
    taken: int = 0
    forgotten: int = 0
    users: int = 0
    untold: int = 0
    wrong: int = 0
    overtaken: int = 0
    strange: int = 0
    streams: int = 0
    streamed: int = 0
    resumed: int = 0
    resets: int = 0
    gaps: int = 0
    examples: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether everybody knows everything, and heard it in order."""
        return not any(
            (self.untold, self.wrong, self.overtaken, self.strange, self.resets, self.gaps)
        )


@dataclass(slots=True)
class Audience:
    """The receivers and listeners of a run, which hear of these users while so many faults hit."""

    product: Product
    users: Sequence[str]
    faults: int
    chance: random.Random
    receivers: Sequence[Receiver]
    listeners: Sequence[Listener]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    _turns: list[Sequence[str]] = field(init=False)
    _forgets: list[int] = field(init=False)
    _place: int = 0

    def __post_init__(self) -> None:
        """Draw how each receiver behaves at each fault, and at which one it forgets."""
        self._turns = [_turns(self.chance, self.faults) for _ in self.receivers]
        self._forgets = [self.chance.randrange(self.faults) for _ in self.receivers]

    def disturb(self) -> None:
        """Go on to the next trouble, and lose some connections."""
        for receiver, turns, forgets in zip(
            self.receivers, self._turns, self._forgets, strict=True
        ):
            receiver.behave(turns[self._place])
            if self._place == forgets:
                receiver.forget()
        for listener in self.listeners:
            if self.chance.random() < CUT_SHARE:
                listener.cut()
        self._place += 1

    def calm(self) -> None:
        """Behave well from now on; whoever forgot has everything sent once more."""
        since = (self.began - timedelta(minutes=1)).isoformat()
        for receiver in self.receivers:
            receiver.behave(WELL)
            if receiver.forgotten:
                self.product.command("destinations", "resend", receiver.id, "--since", since)

    def judge(self) -> Hearing:
        """Wait until everybody was told everything, then compare."""
        is_told = until(lambda: not _waiting(self.product), TOLD_SECONDS_MAX)
        outbox = _outbox(self.product)
        newest = {user: messages[-1]["version"] for user, messages in outbox.items()}
        until(
            lambda: all(each.seen >= newest.get(each.user_id, 0) for each in self.listeners),
            STREAMED_SECONDS_MAX,
        )
        everybody = {*self.users, *outbox}.union(*(each.known for each in self.receivers))
        differences = list(self._differences(everybody))
        gaps = {each.user_id: each.gaps(outbox.get(each.user_id, [])) for each in self.listeners}
        skipped = [f"stream of {user}: {count} messages" for user, count in gaps.items() if count]
        return Hearing(
            messages=sum(map(len, outbox.values())),
            attempts=sum(each.attempts for each in self.receivers),
            taken=sum(each.taken for each in self.receivers),
            forgotten=sum(each.forgotten for each in self.receivers),
            users=len(everybody),
            untold=0 if is_told else _waiting(self.product),
            wrong=len(differences),
            overtaken=sum(each.overtaken for each in self.receivers),
            strange=sum(each.strange for each in self.receivers),
            streams=len(self.listeners),
            streamed=sum(len(each.told) for each in self.listeners),
            resumed=sum(each.resumed for each in self.listeners),
            resets=sum(each.resets for each in self.listeners),
            gaps=sum(gaps.values()),
            examples=(*differences[:5], *skipped[:5]),
        )

    def _differences(self, users: Collection[str]) -> Iterator[str]:
        """What a receiver, or a stream, adds up to otherwise than the API says."""
        streamed: dict[str, Heard] = {}
        for listener in self.listeners:
            streamed |= heard_of(listener.told)
        sampled = {listener.user_id for listener in self.listeners}
        token_for = token_maker(self.product.settings["JWT_SECRET"], "", "")
        with (
            closing(Reader(self.product.base_url, token_for)) as reader,
            ThreadPoolExecutor(_READERS) as pool,
        ):
            truths = pool.map(lambda user: (user, _shown(reader, user)), sorted(users))
            for user, truth in truths:
                for receiver in self.receivers:
                    if names := receiver.known.get(user, Heard()).differing(truth):
                        yield f"{receiver.id} of {user}: {', '.join(names)}"
                if user in sampled and (names := streamed.get(user, Heard()).differing(truth)):
                    yield f"stream of {user}: {', '.join(names)}"


@contextmanager
def audience(
    product: Product, users: Sequence[str], faults: int, *, seed: int
) -> Iterator[Audience]:
    """Two receivers that are destinations of the product, and listeners of some of these users."""
    chance = random.Random(f"hearing {seed}")  # noqa: S311 - an order, no secret.
    sample = chance.sample(users, min(STREAMS, len(users)))
    token_for = token_maker(product.settings["JWT_SECRET"], "", "")
    with ExitStack() as stack:
        receivers = [stack.enter_context(receiving()) for _ in range(RECEIVERS)]
        for receiver in receivers:
            said = product.command("destinations", "add", receiver.url)
            receiver.id, receiver.secret = _named(said, "dest_"), _named(said, "whsec_")
        listeners = [Listener(user) for user in sample]
        for listener in listeners:
            listener.start(product.port, token_for)
            stack.callback(listener.stop)
        yield Audience(product, users, faults, chance, receivers, listeners)


def _turns(chance: random.Random, faults: int) -> Sequence[str]:
    """A behaviour for each fault: every one comes before one comes again."""
    turns: list[str] = []
    while len(turns) < faults:
        turns += chance.sample(BEHAVIORS, len(BEHAVIORS))
    return turns


def _named(said: str, prefix: str) -> str:
    found = re.search(rf"{prefix}\S+", said)
    assert found, said
    return found[0]


def _shown(reader: Reader, user_id: str) -> Heard:
    return shown(
        reader.answer("/billing/tokens/", user_id),
        reader.items("/billing/subscriptions/", user_id),
        reader.items("/billing/payments/", user_id),
        reader.answer("/billing/access/", user_id),
    )


def _waiting(product: Product) -> int:
    """How many users a destination is still to be told something of."""
    query = (
        "SELECT (SELECT count(*) FROM outbox_users WHERE is_pending)"
        " + (SELECT count(*) FROM destination_users WHERE next_attempt_at IS NOT NULL)"
    )
    return int(next(iter(_rows(product, query)))[0])


def _outbox(product: Product) -> dict[str, list[Json]]:
    """Every message as it is told, by user, in their order."""
    query = "SELECT user_id, version, type, data, created_at FROM outbox ORDER BY user_id, version"
    outbox: dict[str, list[Json]] = {}
    for user, version, kind, data, created_at in _rows(product, query):
        message = {"type": kind, "user": user, "version": version, "created_at": created_at}
        told: Json = orjson.loads(orjson.dumps(message | {"data": data}))
        outbox.setdefault(user, []).append(told)
    return outbox


def _rows(product: Product, query: str) -> list[tuple[Any, ...]]:
    url = product.settings["DATABASE_URL"]
    with (
        closing(psycopg2.connect(url, connect_timeout=5, options="-c timezone=UTC")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(query)
        return cursor.fetchall()
