"""Two releases on the same stores, in any order: nothing fails, and nothing is written too soon."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis
import zstandard

from db.bodies import NEWEST
from db.queue.formats import ASK_EVERY_SECONDS, Readers
from db.queue.stream import STREAM, connect
from dev.checks.dictionary import simulated
from dev.faults import releases
from dev.faults.load import Load
from dev.faults.releases import NEXT_DICTIONARY, TODAY, Processes, Release
from dev.faults.verdict import Verdict, judge
from dev.up.ports import free_port
from sandbox.simulate.account import Account
from sandbox.simulate.engine import Event
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.scene import DAY
from sandbox.simulate.versions import BY_CHOICE
from tests.ingest.builders import JWT_SECRET, SECRET

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals processes by /proc")

# A checkout of an earlier release with a `.venv` of its own, where there is one.
OLD_RELEASE = os.environ.get("FAULTS_OLD_RELEASE", "")
WAIT_SECONDS_MAX = 75.0
# So long both releases of a role run.
SIDE_BY_SIDE_SECONDS = 4.0
SEED = 20_261_127


@dataclass(slots=True)
class Stage:
    """The stores, two releases on them, and a load that is sent in parts."""

    url: str
    client: redis.Redis
    processes: Processes
    following: Release
    parts: list[list[Event]]

    def send(self, load: Load) -> None:
        """Send a part, and return when all of it was accepted."""
        load.start()
        assert load.finish(WAIT_SECONDS_MAX)

    def load(self) -> Load:
        """The next part."""
        events = self.parts.pop(0)
        return Load(self.processes.base_url, SECRET, events, rate=400.0, seed=SEED)

    def replace(
        self, process: subprocess.Popen[bytes], release: Release, role: str
    ) -> subprocess.Popen[bytes]:
        """Let a role of another release take over; both run for a while, but for the receiver.

        Without a proxy only one receiver has the address; the load tries again meanwhile.
        """
        if role == "web":
            self.processes.stop(process)
        following = self.processes.start(release, role)
        time.sleep(SIDE_BY_SIDE_SECONDS)
        if role != "web":
            self.processes.stop(process)
        return following

    def verdict(self, loads: Sequence[Load], account: Account) -> Verdict:
        """What all judges say of all parts together."""
        for load in loads[:-1]:
            loads[-1].accepted.update(load.accepted)
        return judge(self.processes, loads[-1], account.expected.users(), len(account.events))

    def await_readers(self, *dictionaries: int) -> None:
        """Return when exactly such workers live, and whoever writes has heard of them."""
        self.eventually(lambda: sorted(Readers(self.client).live().values()) == [*dictionaries])
        time.sleep(ASK_EVERY_SECONDS + 1)

    def eventually(self, holds: Callable[[], bool]) -> None:
        """Return when it holds."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not holds():
            assert time.monotonic() < deadline, self.standing()
            time.sleep(0.2)

    def standing(self) -> str:
        """What to know of a run that does not come to its end."""
        waiting = f"{self.client.xlen(STREAM)} in the stream, {releases.waiting(self.url)} stored"
        return "\n".join(
            [f"{waiting} (logs: {self.processes.directory})", *releases.failures(self.url)]
        )

    def nothing_waits(self) -> bool:
        """Whether every event was applied or ignored."""
        return not self.client.xlen(STREAM) and not releases.waiting(self.url)


@pytest.fixture(scope="module")
def account() -> Account:
    """Subscriptions that renew and change, so that rows are read again."""
    today = int(time.time()) // DAY * DAY
    made = Account(seed=SEED, run="releases", starts_at=today)
    play(made, read_file(SAMPLE_PLANS), BY_CHOICE["mixed"], customers=30, today=today)
    return made


def next_dictionary() -> bytes:
    """The dictionary that a release after this one brings."""
    samples: list[Any] = [*simulated(seed=3)[:1_000]]
    return zstandard.train_dictionary(16_384, samples, dict_id=NEXT_DICTIONARY).as_bytes()


@pytest.fixture
def stage(database_url: str, redis_url: str, account: Account, tmp_path: Path) -> Iterator[Stage]:
    """The next release's receiver and scheduler run, and no worker yet."""
    url = database_url.replace("+psycopg2", "")
    settings = {
        "DATABASE_URL": url,
        "REDIS_URL": redis_url,
        "PORT": str(free_port()),
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_BASE": "http://127.0.0.1:1",
        "JWT_SECRET": JWT_SECRET,
        "INTAKE": "stream",
        "BILLING_DATA": str(tmp_path / "data"),
    }
    following = releases.next_release(tmp_path / "next", next_dictionary())
    # So that each part is of every subscription.
    parts = [list(account.events[number::3]) for number in range(3)]
    client = connect(redis_url, timeout_seconds=3.0)
    with releases.processes(settings, tmp_path) as processes:
        processes.once(TODAY, "load_plans", str(SAMPLE_PLANS))
        yield Stage(url, client, processes, following, parts)
    client.close()


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_releases_run_side_by_side_and_one_after_the_other(stage: Stage, account: Account) -> None:
    """Receivers first, both workers, the new alone, the old alone as after a rollback, the new."""
    loads = [stage.load() for _ in range(3)]
    stage.processes.start(stage.following, "web")
    stage.processes.start(stage.following, "beat")
    stage.processes.await_receiver()
    ours = stage.processes.start(TODAY, "worker")
    theirs = stage.processes.start(stage.following, "worker")
    stage.await_readers(NEWEST, NEXT_DICTIONARY)
    stage.send(loads[0])
    stage.eventually(stage.nothing_waits)
    assert releases.dictionaries_written(stage.url) == {NEWEST}

    stage.processes.stop(ours)
    stage.await_readers(NEXT_DICTIONARY)
    stage.send(loads[1])
    stage.eventually(stage.nothing_waits)
    assert releases.dictionaries_written(stage.url) == {NEWEST, NEXT_DICTIONARY}

    # A rollback at once: what is new in the tables is left, the rest is applied.
    stage.processes.start(TODAY, "worker")
    stage.processes.stop(theirs)
    stage.await_readers(NEWEST)
    stage.send(loads[2])
    stage.eventually(lambda: not stage.client.xlen(STREAM))
    assert releases.left(stage.url) > 0
    assert releases.failures(stage.url) == []

    stage.processes.start(stage.following, "worker")
    stage.eventually(stage.nothing_waits)
    assert releases.failures(stage.url) == []
    # What the next release wrote, that release audits.
    stage.processes.once(stage.following, "audit")
    verdict = stage.verdict(loads, account)
    assert replace(verdict, audit_differences=0).is_clean, str(verdict)


@pytest.mark.faults
@pytest.mark.timeout(240)
@pytest.mark.skipif(not OLD_RELEASE, reason="FAULTS_OLD_RELEASE names no earlier checkout")
@pytest.mark.parametrize("receivers_first", [True, False])
def test_a_rolling_upgrade_and_a_rollback(
    stage: Stage, account: Account, *, receivers_first: bool
) -> None:
    """From a release that announces nothing, and back to it, on the schema of today."""
    old = Release(Path(OLD_RELEASE), Path(OLD_RELEASE) / ".venv/bin/python")
    loads = [stage.load() for _ in range(3)]
    begins, follows = ("web", "worker") if receivers_first else ("worker", "web")
    running = {role: stage.processes.start(old, role) for role in ("web", "worker", "beat")}
    stage.processes.await_receiver()
    loads[0].start()
    for role in (begins, follows, "beat"):
        running[role] = stage.replace(running[role], TODAY, role)
    assert loads[0].finish(WAIT_SECONDS_MAX)
    stage.send(loads[1])
    # Back again, at once.
    for role in ("worker", "web"):
        running[role] = stage.replace(running[role], old, role)
    stage.processes.await_receiver()
    stage.send(loads[2])
    stage.eventually(stage.nothing_waits)
    assert releases.failures(stage.url) == []
    verdict = stage.verdict(loads, account)
    assert replace(verdict, audit_differences=0).is_clean, str(verdict)
