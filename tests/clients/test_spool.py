"""Spends on disk: what is on disk stays, and is in the ledger once, whoever dies on the way."""

import asyncio
import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from fiko_client import (
    AsyncClient,
    Client,
    KeyReused,
    LedgerEntry,
    Patience,
    ServiceAway,
    Settled,
    Spend,
    Spool,
    Spooled,
    Unauthorized,
)
from tests.clients.fake_service import URL, FakeService, a_problem, token_for

AWAY = httpx.ConnectError("nobody listens")
ADDS_FOR_EVER = """
import sys
from fiko_client import Spend, Spool
spool = Spool(sys.argv[1])
for number in range(10**9):
    spool.add("user_1", Spend.of(1, "a summary", f"{sys.argv[2]}_{number}"))
    print(f"{sys.argv[2]}_{number}", flush=True)
"""


@pytest.fixture
def service() -> FakeService:
    """A service where two users have tokens."""
    return FakeService(balances={"user_1": 100, "user_2": 100})


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool in a folder that is made for it."""
    return Spool(tmp_path / "made" / "spends.sqlite")


@pytest.fixture
def client(service: FakeService, spool: Spool) -> Client:
    """A client of user_1 that never waits long."""
    return Client(
        URL,
        token_for("user_1"),
        spool=spool,
        patience=Patience(attempts=2, first_pause=0.001),
        transport=service.transport,
    )


def test_a_spend_is_spooled_while_the_service_is_away(
    client: Client, service: FakeService, spool: Spool
) -> None:
    """It is tried once, kept with its key, and in the ledger once the spool is settled."""
    service.failures.append(AWAY)
    kept = client.spend(5, "a summary", away="spool")
    assert isinstance(kept, Spooled)
    assert (kept.user, kept.amount, len(spool), service.spent()) == ("user_1", 5, 1, 0)
    assert client.settle_spool() == Settled(settled=1, waiting=0, refused=0)
    assert list(service.entries) == [("user_1", kept.key)]
    assert client.settle_spool() == Settled(settled=0, waiting=0, refused=0)
    assert service.spent() == 5


def test_a_spend_is_not_spooled_while_the_service_is_there(
    client: Client, spool: Spool, service: FakeService
) -> None:
    """It is answered with its entry."""
    assert isinstance(client.spend(5, "a summary", away="spool"), LedgerEntry)
    assert (len(spool), service.spent()) == (0, 5)


def test_by_default_a_spend_is_refused(client: Client, service: FakeService, spool: Spool) -> None:
    """The app chooses for each call."""
    service.failures.extend([AWAY, AWAY])
    with pytest.raises(ServiceAway):
        client.spend(5, "a summary")
    assert len(spool) == 0


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_service_that_cannot_answer_is_away(
    client: Client, service: FakeService, spool: Spool, status: int
) -> None:
    """Whichever way it says so."""
    service.failures.append(a_problem(status, "some_code"))
    assert isinstance(client.spend(5, "a summary", away="spool"), Spooled)
    assert len(spool) == 1


def test_a_refusal_is_not_spooled(client: Client, service: FakeService, spool: Spool) -> None:
    """It would be refused again."""
    service.failures.append(a_problem(401, "not_authenticated"))
    with pytest.raises(Unauthorized):
        client.spend(5, "a summary", away="spool")
    assert len(spool) == 0


def test_a_lost_answer_is_settled_once(client: Client, service: FakeService, spool: Spool) -> None:
    """The service had done it: the same key is answered with the same entry."""
    service.lost_answers = 1
    assert isinstance(client.spend(5, "a summary", away="spool"), Spooled)
    assert service.spent() == 5
    assert client.settle_spool().settled == 1
    assert (service.spent(), len(spool)) == (5, 0)


def test_a_crash_between_sending_and_crossing_out_spends_once(
    client: Client, service: FakeService, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next round sends the same key again."""
    spool.add("user_1", Spend.of(5, "a summary", "key_1"))
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "remove", _crash)
        with pytest.raises(KeyboardInterrupt):
            client.settle_spool()
    assert (service.spent(), len(spool)) == (5, 1)
    assert client.settle_spool() == Settled(settled=1, waiting=0, refused=0)
    assert service.spent() == 5


def _crash(_spool: Spool, *_spends: object) -> None:
    raise KeyboardInterrupt


def test_during_an_outage_not_every_spend_finds_out_by_itself(
    client: Client, service: FakeService, spool: Spool
) -> None:
    """For a second after a failure spends are spooled at once."""
    service.failures.append(AWAY)
    for _ in range(10):
        client.spend(1, "a summary", away="spool")
    assert (len(service.seen), len(spool)) == (1, 10)


def test_each_spend_is_settled_as_its_user(
    client: Client, service: FakeService, spool: Spool
) -> None:
    """No token is on disk; a client without `token_for` leaves what is not its own."""
    spool.add("user_2", Spend.of(7, "theirs", None))
    spool.add("user_1", Spend.of(5, "mine", None))
    assert client.settle_spool() == Settled(settled=1, waiting=1, refused=0)
    assert (service.spent("user_1"), service.spent("user_2")) == (5, 0)
    assert client.settle_spool(token_for).settled == 1
    assert service.spent("user_2") == 7
    assert b"eyJ" not in spool.path.read_bytes()


def test_without_a_user_in_the_token_nothing_is_spooled(service: FakeService, spool: Spool) -> None:
    """It could never be settled."""
    client = Client(URL, "opaque", spool=spool, transport=service.transport)
    with pytest.raises(ValueError, match="does not say whose"):
        client.spend(5, "a summary", away="spool")


def test_without_a_spool_nothing_is_spooled(service: FakeService) -> None:
    """Said at once, not in the first outage."""
    client = Client(URL, token_for("user_1"), transport=service.transport)
    with pytest.raises(ValueError, match="spool"):
        client.spend(5, "a summary", away="spool")
    assert service.seen == []


def test_what_cannot_be_paid_waits_and_keeps_back_nobody(
    client: Client, service: FakeService, spool: Spool
) -> None:
    """It is tried less and less often, and paid once there are tokens."""
    spool.add("user_1", Spend.of(1000, "a book", "key_1"))
    spool.add("user_1", Spend.of(5, "a summary", "key_2"))
    assert client.settle_spool() == Settled(settled=1, waiting=1, refused=0)
    [waiting] = spool.waiting()
    assert (waiting.tries, waiting.problem) == (
        1,
        "insufficient_tokens: This is insufficient_tokens.",
    )
    assert list(spool.waiting(due_only=True)) == []
    service.balances["user_1"] = 1000
    assert client.settle_spool().settled == 1


def test_what_the_service_will_never_take_is_put_aside(
    client: Client, service: FakeService, spool: Spool
) -> None:
    """For a person, who may let it be sent again or give it up."""
    spool.add("user_1", Spend.of(5, "a summary", "key_1"))
    client.spend(6, "another", "key_1")
    assert client.settle_spool() == Settled(settled=0, waiting=0, refused=1)
    [refused] = spool.refused()
    assert (refused.key, refused.problem) == (
        "key_1",
        "idempotency_key_reused: This is idempotency_key_reused.",
    )
    spool.retry("key_1")
    assert (len(spool), spool.refused()) == (1, [])
    client.settle_spool()
    spool.remove(spool.refused()[0])
    assert client.settle_spool() == Settled(settled=0, waiting=0, refused=0)
    assert service.spent() == 6


def test_a_spend_that_breaks_the_service_keeps_back_nobody(
    client: Client, service: FakeService, spool: Spool
) -> None:
    """A 500 is that spend's; an outage ends the round."""
    for number in range(3):
        spool.add("user_1", Spend.of(1, "a summary", f"key_{number}"))
    service.failures.append(a_problem(500, "internal_error"))
    assert client.settle_spool() == Settled(settled=2, waiting=1, refused=0)
    service.failures.extend([AWAY, AWAY])
    spool.add("user_1", Spend.of(1, "a summary", "key_3"))
    assert client.settle_spool() == Settled(settled=0, waiting=2, refused=0)
    assert client.settle_spool().waiting == 0


def test_a_token_is_asked_for_with_each_spend(service: FakeService, spool: Spool) -> None:
    """A round may last longer than a token does."""
    given: list[str] = []

    def token() -> str:
        given.append(token_for("user_1"))
        return given[-1]

    for number in range(3):
        spool.add("user_1", Spend.of(1, "a summary", f"key_{number}"))
    client = Client(URL, token, spool=spool, transport=service.transport)
    assert client.settle_spool().settled == 3
    # Once more to know whose client it is.
    assert len(given) == 4


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_user_who_is_turned_away_is_asked_for_once_a_round(
    client: Client, service: FakeService, spool: Spool, status: int
) -> None:
    """A token that ended answers for all spends of its user, and for nobody else's."""
    for number in range(3):
        spool.add("user_1", Spend.of(1, "a summary", f"key_{number}"))
    spool.add("user_2", Spend.of(7, "theirs", None))
    retry_after = {"Retry-After": "3600"}
    service.failures.append(a_problem(status, "some_code", retry_after))
    assert client.settle_spool(token_for) == Settled(settled=1, waiting=3, refused=0)
    assert len(service.debits()) == 2
    assert client.settle_spool(token_for) == Settled(settled=3, waiting=0, refused=0)


def test_the_same_key_is_kept_once(spool: Spool) -> None:
    """Other content under it is refused here already; another user's key is another key."""
    for user in ("user_1", "user_1", "user_2"):
        spool.add(user, Spend.of(5, "a summary", "key_1"))
    assert len(spool) == 2
    with pytest.raises(KeyReused):
        spool.add("user_1", Spend.of(6, "a summary", "key_1"))
    assert len(spool) == 2


def test_many_spends_come_in_their_order(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a page of them."""
    monkeypatch.setattr("fiko_client.spool._PAGE", 10)
    keys = [f"key_{number}" for number in range(25)]
    for key in keys:
        spool.add("user_1", Spend.of(1, "a summary", key))
    assert [each.key for each in spool.waiting()] == keys


def test_only_the_owner_may_read_it(spool: Spool) -> None:
    """Reasons may be private."""
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600


def test_a_commit_waits_for_the_disk(spool: Spool) -> None:
    """SQLite is told to sync, and not only to hand over: 2 is FULL."""
    with closing(spool.connect()) as connection:
        [(level,)] = connection.execute("PRAGMA synchronous")
        [(mode,)] = connection.execute("PRAGMA journal_mode")
    assert (level, mode) == (2, "persist")


def test_processes_that_are_killed_while_they_write_lose_nothing(tmp_path: Path) -> None:
    """Two at once, in the middle of it: each spend that was said to be kept is kept, whole."""
    path = tmp_path / "spends.sqlite"
    said = [tmp_path / "a", tmp_path / "b"]
    source = str(Path(__file__).parents[2] / "clients" / "python" / "src")
    writers = []
    for file in said:
        with file.open("wb") as output:
            writers.append(
                subprocess.Popen(
                    [sys.executable, "-c", ADDS_FOR_EVER, str(path), file.name],
                    stdout=output,
                    env={**os.environ, "PYTHONPATH": source},
                )
            )
    end = time.monotonic() + 20
    while any(len(file.read_bytes().split()) < 20 for file in said) and time.monotonic() < end:
        time.sleep(0.01)
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    # The last line may be cut.
    promised = {line for file in said for line in file.read_text().split("\n")[:-1]}
    kept = [each.key for each in Spool(path).waiting()]
    assert len(promised) >= 40
    assert promised <= set(kept)
    assert len(kept) == len(set(kept))
    # At most the one in each writer's hand was kept and not said.
    assert len(kept) <= len(promised) + 2


def test_a_write_that_was_torn_is_taken_back_alone(spool: Spool) -> None:
    """A writer that dies inside a transaction leaves a journal, which the next one plays back."""
    spool.add("user_1", Spend.of(1, "a summary", "key_1"))
    context = multiprocessing.get_context("fork")
    writer = context.Process(target=_die_while_writing, args=(spool.path,))
    writer.start()
    writer.join(20)
    assert b"torn_" in spool.path.read_bytes()
    spool.add("user_1", Spend.of(1, "a summary", "key_2"))
    assert [each.key for each in spool.waiting()] == ["key_1", "key_2"]


def _die_while_writing(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    # What does not fit in memory is written over the file before the commit.
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM spends")
    for number in range(2000):
        row = ("user_1", f"torn_{number}", 1, "r" * 500, 0.0)
        connection.execute(
            "INSERT INTO spends (user, key, amount, reason, spooled_at) VALUES (?, ?, ?, ?, ?)",
            row,
        )
    os._exit(0)


def test_threads_share_a_spool_and_two_settle_it_at_once(
    service: FakeService, spool: Spool
) -> None:
    """Each spend is in the ledger once."""
    service.balances["user_1"] = 1000
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda number: spool.add("user_1", Spend.of(1, "a summary", f"key_{number}")),
                range(32),
            )
        )
    lock = threading.Lock()

    def answer(request: httpx.Request) -> httpx.Response:
        with lock:
            return service(request)

    def settle(_number: int) -> None:
        other = Client(URL, token_for("user_1"), spool=spool, transport=httpx.MockTransport(answer))
        other.settle_spool()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(settle, range(2)))
    assert (service.spent(), len(spool)) == (32, 0)


def test_a_thread_settles_it(client: Client, service: FakeService, spool: Spool) -> None:
    """Every so often, whatever goes wrong meanwhile, and once more at the end."""
    calls: list[str] = []

    def broken_at_first(user: str) -> str:
        calls.append(user)
        if len(calls) == 1:
            raise RuntimeError("the identity provider is away")
        return token_for(user)

    spool.add("user_1", Spend.of(5, "a summary", None))
    with client.settling(broken_at_first, every=0.01):
        end = time.monotonic() + 10
        while len(spool) and time.monotonic() < end:
            time.sleep(0.01)
        assert len(spool) == 0
    spool.add("user_2", Spend.of(5, "a summary", None))
    with client.settling(token_for, every=3600):
        pass
    assert (service.spent("user_1"), service.spent("user_2")) == (5, 5)


def test_an_event_loop_spools_and_settles_too(service: FakeService, spool: Spool) -> None:
    """The same, awaited; a spool serves both kinds of clients."""

    async def scenario() -> None:
        patience = Patience(attempts=2, first_pause=0.001)
        client = AsyncClient(
            URL,
            token_for("user_1"),
            spool=spool.path,
            patience=patience,
            transport=service.transport,
        )
        async with client:
            service.failures.append(AWAY)
            kept = await client.spend(5, "a summary", away="spool")
            assert isinstance(kept, Spooled)
            spool.add("user_1", Spend.of(1000, "a book", None))
            spool.add("user_2", Spend.of(7, "theirs", None))
            assert await client.settle_spool() == Settled(settled=1, waiting=2, refused=0)
            assert await client.settle_spool(token_for) == Settled(1, 1, 0)
            service.failures.extend([AWAY, AWAY])
            assert await client.settle_spool() == Settled(0, 1, 0)

    asyncio.run(scenario())
    assert (service.spent("user_1"), service.spent("user_2")) == (5, 7)
