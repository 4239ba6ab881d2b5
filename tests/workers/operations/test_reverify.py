"""Which stored bodies can be proved to come from Stripe."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from db.queue import inbox
from db.queue.deliveries import as_delivery
from ingest.webhook.receiver import verified
from sandbox.simulate.delivery import signature_header
from tests.ingest.builders import a_body, a_thin_body
from tests.pipeline import a_worker_context, empty, empty_redis
from tests.stripe_objects import a_session, an_event
from workers.commands.reverify import reverify as command
from workers.context import WorkerContext
from workers.operations.reverify import reverify, signer
from workers.pipeline.drain import drain

OLD, NEW = "whsec_of_before", "whsec_of_today"


@pytest.fixture
def context(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker on empty tables."""
    found = a_worker_context(database_url, redis_url)
    empty(found.engine)
    empty_redis(redis_url)
    yield found
    found.engine.dispose()


def receive(context: WorkerContext, body: bytes, *secrets: str) -> None:
    """Receive a body that these secrets signed, as while one is rolled."""
    now = int(time.time())
    signatures = [signature_header(body, secret, now).partition(",")[2] for secret in secrets]
    header = ",".join([f"t={now}", *signatures])
    context.events.put(verified(body, header, secrets=secrets))


def test_each_body_is_proved_by_the_secret_that_signed_it(
    context: WorkerContext, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the stream and the inbox alike; what Stripe did not post is counted apart."""
    receive(context, a_body(id="evt_old"), OLD)
    receive(context, a_body(id="evt_both"), OLD, NEW)
    receive(context, a_thin_body(id="evt_thin"), NEW)
    fetched = as_delivery(an_event("checkout.session.completed", a_session()))
    with context.engine.begin() as connection:
        inbox.store(connection, [fetched], source="reconcile")
        body, now = a_body(id="evt_inbox"), int(time.time())
        stored = verified(body, signature_header(body, NEW, now), secrets=[NEW])
        inbox.store(connection, [stored], source="webhook")
    drain(context, lambda: None)
    proof = reverify(context.engine, [NEW], lambda _done: None)
    assert proof.proved == {"…oday": 3}
    assert (proof.unproved, proof.named) == (1, ["evt_old"])
    assert proof.unsigned == {"reconcile": 1}
    assert proof.checked == 5

    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", NEW)
    shown = CliRunner().invoke(command, [])
    assert shown.exit_code == 1
    assert "1 not proved" in shown.output
    older = tmp_path / "secrets"
    older.write_text(f"{OLD}\n", encoding="utf-8")
    told = CliRunner().invoke(command, ["--secrets", str(older), "--since", "1h", "--json"])
    assert told.exit_code == 0
    found = json.loads(told.output)
    assert (found["checked"], found["unproved"]) == (5, 0)
    assert sum(found["proved"].values()) == 4
    assert OLD not in shown.output + told.output


def test_a_stored_signature_cannot_be_changed(context: WorkerContext) -> None:
    """It is evidence as the body is."""
    receive(context, a_body(), NEW)
    drain(context, lambda: None)
    with context.engine.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(text("UPDATE webhook_events SET signature = 't=1,v1=00'"))


def test_a_body_that_was_changed_proves_nothing() -> None:
    """Nor does the signature of another time."""
    body, now = a_body(), 1_795_000_000
    header = signature_header(body, NEW, now)
    assert signer(body, header, [OLD, NEW]) == NEW
    assert signer(body + b" ", header, [NEW]) is None
    assert signer(body, header.replace(str(now), str(now + 1)), [NEW]) is None
    assert signer(body, "nonsense", [NEW]) is None
