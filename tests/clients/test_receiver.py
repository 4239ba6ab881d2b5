"""The Python client against the real receiver, on real engines: the flow, and an outage."""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

import fiko_client
from db.engine import make_engine
from dev.up.ports import free_port
from domain.catalogue.plans import Catalogue
from fiko_client import AsyncClient, Client, LedgerEntry, Spool, Spooled
from tests.clients.fake_service import token_for
from tests.ingest.builders import ENVIRONMENT, a_token
from tests.pipeline import sell
from tests.play import a_plan
from workers.operations.audit import Finding, audit

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from ingest.server import web; web()"]
START_SECONDS = 30.0
# Spends a second, and how long before and after the outage.
RATE = 50
AROUND_SECONDS = 1.0

ACCOUNT = "INSERT INTO token_accounts (user_id, balance) VALUES (:user, :tokens)"
WELCOME = """
    INSERT INTO ledger_entries (user_id, delta, kind, balance_after, reason)
    VALUES (:user, :tokens, 'adjustment', :tokens, 'welcome')
"""

CATALOGUE = Catalogue.of(
    [
        a_plan(1, 5_000, name="Pro", features={"api": True, "seats": 5}),
        a_plan(2, 100, name="Pack", type="token", interval=None, prices={"usd": 500}),
    ]
)


@dataclass
class Receiver:
    """The `web` process on the test's engines, which may be killed and started again."""

    engine: Engine
    environment: dict[str, str]
    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it answers while it runs."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "web.log").open("ab") as log:
            self.process = subprocess.Popen(
                COMMAND, cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < end, (self.folder / "web.log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it amid whatever it does; its worker dies with it."""
        assert self.process
        self.process.kill()
        self.process.wait()
        end = time.monotonic() + START_SECONDS
        while self._answers():
            assert time.monotonic() < end, "its worker lives on"
            time.sleep(0.05)

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/healthz", timeout=5).is_success
        return False

    def fund(self, user: str, tokens: int) -> None:
        """Give a user tokens by hand."""
        with self.engine.begin() as connection:
            given = {"user": user, "tokens": tokens}
            connection.execute(text(ACCOUNT), given)
            connection.execute(text(WELCOME), given)

    def debits(self, user: str) -> Sequence[Any]:
        """The key and amount of every debit in the ledger."""
        statement = (
            "SELECT idempotency_key, delta FROM ledger_entries"
            " WHERE user_id = :user AND kind = 'debit'"
        )
        with self.engine.connect() as connection:
            return connection.execute(text(statement), {"user": user}).all()

    def findings(self) -> list[Finding]:
        """What the audit finds fault with."""
        found: list[Finding] = []
        audit(self.engine, found.append, lambda _done, _total: None)
        return found


@pytest.fixture(scope="module")
def receiver(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    """A running receiver with a catalogue."""
    port = free_port()
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "DATABASE_URL": database_url.replace("+psycopg2", ""),
        "REDIS_URL": redis_url,
        "PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }
    engine = make_engine(database_url, pool_size=2)
    sell(engine, CATALOGUE)
    found = Receiver(engine, environment, tmp_path_factory.mktemp("receiver"), port)
    found.start()
    yield found
    assert found.process
    found.process.terminate()
    found.process.wait(20)
    engine.dispose()


def test_what_a_backend_does(receiver: Receiver) -> None:
    """Look, spend, spend again under the same key, run out, and read it all back."""
    receiver.fund("ada", 100)
    with Client(receiver.url, token_for("ada")) as client:
        assert client.balance().balance == 100
        first = client.spend(60, "a summary", "job_1")
        assert client.spend(60, "a summary", "job_1") == first
        assert (first.delta, first.balance_after, client.balance().balance) == (-60, 40, 40)
        with pytest.raises(fiko_client.KeyReused):
            client.spend(1, "a summary", "job_1")
        with pytest.raises(fiko_client.InsufficientTokens) as refused:
            client.spend(50, "a book")
        assert (refused.value.balance, refused.value.missing) == (40, 10)
        body = {"plan_type": "token", "plan_id": 2, "currency": "usd"}
        pack = fiko_client.Offer(2, "Pack", 100, "usd", 500, body)
        assert refused.value.buy == (pack,)
        assert [each.reason for each in client.ledger()] == ["a summary", "welcome"]
        assert list(client.subscriptions()) == []
        access = client.access()
        assert [access.allows(each) for each in ("api", "seats", "sso")] == [False] * 3
        assert access["seats"].why.code == "no_plan"
        assert [(each.name, each.limit) for each in access["seats"].unlocked_by] == [("Pro", 5)]
        assert {each.id for each in client.plans()} == {plan.id for plan in CATALOGUE.plans}
        with pytest.raises(fiko_client.ServiceAway, match="stripe_disabled"):
            client.checkout("token", 1)
        with pytest.raises(fiko_client.Forbidden):
            client.as_user(a_token(user="ada")).spend(1, "a summary")
        with pytest.raises(fiko_client.Unauthorized):
            client.as_user("nobody").balance()


def test_what_a_backend_with_an_event_loop_does(receiver: Receiver) -> None:
    """A long ledger comes page by page; spends at the same time are each counted."""
    receiver.fund("bob", 100)

    async def scenario() -> None:
        async with AsyncClient(receiver.url, token_for("bob")) as client:
            spends = [client.spend(1, f"page {number}") for number in range(60)]
            await asyncio.gather(*spends)
            entries = [each async for each in client.ledger()]
            assert len({each.id for each in entries}) == len(entries) == 61
            assert (await client.balance()).balance == 40
            assert [each.id async for each in client.subscriptions()] == []

    asyncio.run(scenario())


def spend_through_an_outage(receiver: Receiver, user: str, folder: Path, seconds: float) -> None:
    """Kill the service under spends at a steady rate, start it again, settle; then count."""
    spool = Spool(folder / "spends.sqlite")
    count = round(RATE * (seconds + 2 * AROUND_SECONDS))
    receiver.fund(user, count + 1)
    # Two clients, as of two processes of an app: they share nothing but the file.
    clients = [
        # Asked for each time: a token ends sooner than an outage may.
        Client(receiver.url, lambda: token_for(user), spool=spool, timeout=2.0)
        for _ in range(2)
    ]
    begun_at = time.monotonic()

    def spend(number: int) -> LedgerEntry | Spooled:
        time.sleep(max(0.0, begun_at + number / RATE - time.monotonic()))
        return clients[number % 2].spend(1, "a summary", f"{user}_{number}", away="spool")

    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(spend, number) for number in range(count)]
        time.sleep(AROUND_SECONDS)
        receiver.kill()
        time.sleep(max(0.0, begun_at + AROUND_SECONDS + seconds - time.monotonic()))
        receiver.start()
        kinds = Counter(type(each.result()) for each in answers)
    # Most were spooled, and at both ends some were not.
    assert kinds[Spooled] > RATE * seconds * 0.8
    assert kinds[LedgerEntry] > 0
    with clients[0].settling(every=0.1):
        settled = clients[1].settle_spool()
    assert (len(spool), spool.refused(), settled.refused) == (0, [], 0)
    posted = receiver.debits(user)
    assert sorted(key for key, _ in posted) == sorted(f"{user}_{n}" for n in range(count))
    assert {delta for _, delta in posted} == {-1}
    assert clients[0].balance().balance == 1
    assert receiver.findings() == []
    for client in clients:
        client.close()


def test_through_an_outage_every_spend_is_in_the_ledger_once(
    receiver: Receiver, tmp_path: Path
) -> None:
    """The short form: five seconds."""
    spend_through_an_outage(receiver, "cleo", tmp_path, 5.0)


@pytest.mark.faults_long
@pytest.mark.timeout(600)
def test_through_a_minute_without_the_service_every_spend_is_in_the_ledger_once(
    receiver: Receiver, tmp_path: Path
) -> None:
    """The whole: 60 s under 50 spends a second."""
    spend_through_an_outage(receiver, "dora", tmp_path, 60.0)
