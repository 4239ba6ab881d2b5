"""Throws mutated, properly signed bodies at a running product, valid events between them.

The receiver may refuse or keep them; it may not fail, no process may die of one, and what is
valid must have its effect as if they were not there.
"""

import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import redis

from db.queue.stream import STREAM
from dev.faults.load import LANES, NO_ANSWER
from dev.faults.mutations import mutate
from dev.faults.product import ROOT, Product
from ingest.webhook.webhook_problems import BODY_BYTES_MAX
from sandbox.simulate.account import Account
from sandbox.simulate.delivery import PATH, signature_header
from sandbox.simulate.engine import Event
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.reading import Reader, token_maker
from sandbox.simulate.scene import DAY
from sandbox.simulate.verification import verify_users
from sandbox.simulate.versions import BY_CHOICE
from sandbox.simulate.wire import BROKEN, Wire

CUSTOMERS = 40
# A valid event among nonsense may wait for its batch to be split, not for a retry.
SETTLE_SECONDS_MAX = 60.0
TOO_LARGE = 413
SERVER_ERROR_MIN = 500


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """The figures of a run; `deaths` counts processes that were there before and not after."""

    seed: int
    mutants: int
    valid: int
    answers: dict[int, int]
    deaths: int
    unapplied: int
    parked: int
    wrong_users: int
    longest_delay_seconds: float
    examples: tuple[str, ...]

    @property
    def server_errors(self) -> int:
        """Answers that say it was our fault, and attempts that had no answer."""
        return sum(
            count
            for status, count in self.answers.items()
            if status >= SERVER_ERROR_MIN or status == NO_ANSWER
        )

    @property
    def is_clean(self) -> bool:
        """Whether nothing failed, nothing died and every valid event had its effect."""
        return not (self.server_errors or self.deaths or self.unapplied or self.wrong_users)


@dataclass(slots=True)
class _Post:
    """One body on its way; `event_id` where it is a valid event."""

    body: bytes
    event_id: str | None = None


def fuzz(count: int, seed: int, *, root: Path = ROOT, log_path: Path | None = None) -> Fuzzed:
    """Send so many mutants and judge. Raises `ProductError` when the product does not start."""
    chance = random.Random(seed)  # noqa: S311 - test data, no secret.
    account = _account(seed, f"fuzz{seed}")
    posts = _posts(account.events, count, chance)
    with tempfile.TemporaryDirectory(prefix="billing-fuzz-") as name:
        place = Path(name)
        place.chmod(0o711)  # The engines' user passes through.
        with Product(place / "data", root=root, log_path=log_path) as product:
            before = _alive(product)
            answers, accepted, bad = _send(product, posts)
            unapplied, delay, parked = _await_applied(product, accepted)
            wrong, differences = _compared(product, account)
            deaths = len(before - _alive(product))
    return Fuzzed(
        seed=seed,
        mutants=count,
        valid=len(account.events),
        answers=answers,
        deaths=deaths,
        unapplied=len(unapplied) + len(account.events) - len(accepted),
        parked=parked,
        wrong_users=wrong,
        longest_delay_seconds=delay,
        # Every valid event that had no effect is named: without it the run explains nothing.
        examples=(*bad[:5], *unapplied, *differences[:5]),
    )


def _account(seed: int, name: str) -> Account:
    today = int(time.time()) // DAY * DAY
    account = Account(seed=seed, run=name, starts_at=today)
    play(account, read_file(SAMPLE_PLANS), BY_CHOICE["mixed"], customers=CUSTOMERS, today=today)
    return account


def _posts(valid: Sequence[Event], count: int, chance: random.Random) -> list[_Post]:
    # Only events of other people are spoiled, so what is expected of the valid ones stays right.
    strangers = _account(chance.getrandbits(32), "strangers")
    payloads: list[dict[str, Any]] = [event.payload for event in strangers.events]
    posts = [_Post(mutate(chance.choice(payloads), chance)) for _ in range(count)]
    posts += [_Post(event.body, event.id) for event in valid]
    chance.shuffle(posts)
    return posts


def _alive(product: Product) -> set[int]:
    """The process ids of receiver and worker: neither may be replaced."""
    roles = ("receiver", "worker")
    leaders = {product.main(role).pid for role in roles}
    return leaders | {child.pid for role in roles for child in product.children(role)}


def _send(
    product: Product, posts: Sequence[_Post]
) -> tuple[dict[int, int], dict[str, float], list[str]]:
    answers: Counter[int] = Counter()
    accepted: dict[str, float] = {}
    bad: list[str] = []
    lock = threading.Lock()
    secret = product.settings["STRIPE_WEBHOOK_SECRET"]

    def lane(queue: Sequence[_Post]) -> None:
        wire = Wire(product.base_url)
        for post in queue:
            status = _status(wire, post.body, secret)
            with lock:
                answers[status] += 1
                if status == 200 and post.event_id:  # noqa: PLR2004 - HTTP's own figure.
                    accepted[post.event_id] = time.time()
                is_refused = bool(post.event_id) and status != 200  # noqa: PLR2004 - as above.
                if status >= SERVER_ERROR_MIN or status == NO_ANSWER or is_refused:
                    bad.append(f"{status}: {post.body[:300]!r}")
        wire.close()

    threads = [
        threading.Thread(target=lane, args=(posts[n::LANES],), daemon=True) for n in range(LANES)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(answers), accepted, bad


def _status(wire: Wire, body: bytes, secret: str) -> int:
    header = signature_header(body, secret, int(time.time()))
    try:
        return wire.request("POST", PATH, {"Stripe-Signature": header}, body)[0]
    except BROKEN:
        # Who is told that a body is too large may be hung up on while still sending it, and never
        # read the answer (RFC 9110, section 15.5.14).
        return TOO_LARGE if len(body) > BODY_BYTES_MAX else NO_ANSWER


def _await_applied(product: Product, accepted: dict[str, float]) -> tuple[list[str], float, int]:
    """Which valid events never were applied and why, the longest delay, how many are parked."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    url = product.settings["DATABASE_URL"]
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        while True:
            cursor.execute(_APPLIED, (list(accepted),))
            moments = {key: float(moment) for key, moment in cursor}
            if len(moments) == len(accepted) or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        cursor.execute("SELECT count(*) FROM webhook_events WHERE status IN ('failed', 'dead')")
        parked = int(cursor.fetchone()[0])  # type: ignore[index]  # count(*) has a row.
        missing = sorted(accepted.keys() - moments.keys())
        cursor.execute(_BECAME, (missing,))
        became = {key: f"{key}: {what}" for key, what in cursor}
    delay = max((moments[key] - accepted[key] for key in moments), default=0.0)
    lost = f"accepted and not in the inbox ({_in_stream(product)} entries left in the stream)"
    return [became.get(key, f"{key}: {lost}") for key in missing], max(0.0, delay), parked


def _in_stream(product: Product) -> int:
    with closing(redis.Redis.from_url(product.settings["REDIS_URL"])) as client:
        return int(client.xlen(STREAM))


_BECAME = (
    "SELECT id, concat_ws(', ', status, attempts || ' attempts', 'next at ' || next_attempt_at,"
    " left(error, 300)) FROM webhook_events WHERE id = ANY(%s)"
)
_APPLIED = (
    "SELECT id, extract(epoch FROM applied_at) FROM webhook_events"
    " WHERE id = ANY(%s) AND status IN ('applied', 'ignored')"
)


def _compared(product: Product, account: Account) -> tuple[int, list[str]]:
    token_for = token_maker(product.settings["JWT_SECRET"], "", "")
    with closing(Reader(product.base_url, token_for)) as reader:
        verification = verify_users(
            reader, account.expected.users(), timeout_seconds=10, progress=lambda _ready: None
        )
    users = {difference.user_id for difference in verification.differences}
    return len(users), [str(difference) for difference in verification.differences]
