"""Thin events that go wrong: nothing is lost, nothing asked beyond the budget, all of it told."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from ingest.webhook.receiver import parse
from sandbox.simulate.lives import AnsweringAccount, as_thin
from stripe_gateway import Answer, StripeGateway, StripeKeyRefused, StripeMissing, StripeSilent
from tests.offline_stripe import Offline
from tests.pipeline import empty, empty_redis, statuses
from tests.thin import an_asking_worker, lives, receive, settle, tables, waiting
from workers.context import WorkerContext
from workers.pipeline.drain import drain
from workers.pipeline.prepared_event import PreparedEvent
from workers.questions import answering, fetching
from workers.questions.fetching import fetch_noticed
from workers.questions.own_account import OwnAccount


class Asked(StripeGateway):
    """A gateway that notes every question, and may be told to fail."""

    def __init__(self, gateway: StripeGateway) -> None:
        self.__dict__.update(gateway.__dict__)
        self.paths: list[tuple[float, str]] = []
        self.fails: Exception | None = None

    def _note(self, path: str) -> None:
        self.paths.append((time.monotonic(), path))
        if self.fails:
            raise self.fails

    def noticed_object(self, path: str) -> Answer:
        """Note the path, then ask."""
        self._note(path)
        return super().noticed_object(path)

    def event(self, event_id: str) -> Answer:
        """Note the event, then ask."""
        self._note(f"/v1/events/{event_id}")
        return super().event(event_id)

    def thin_event(self, event_id: str) -> Answer:
        """Note the event, then ask."""
        self._note(f"/v2/core/events/{event_id}")
        return super().thin_event(event_id)


@pytest.fixture
def shop(
    database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[tuple[WorkerContext, Offline, Asked]]:
    """A worker on empty tables whose questions are noted."""
    with an_asking_worker(database_url, redis_url, tmp_path) as (context, offline):
        empty(context.engine)
        empty_redis(redis_url)
        assert context.gateway is not None
        gateway = Asked(context.gateway)
        yield replace(context, gateway=gateway), offline, gateway


def a_notice(number: int = 1, **members: Any) -> dict[str, Any]:
    """A thin event about an invoice."""
    return {
        "id": f"evt_test_{number}",
        "object": "v2.core.event",
        "type": "v1.invoice.paid",
        "livemode": False,
        "created": "2026-11-20T10:00:00.123Z",
        "context": None,
        "related_object": {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"},
        **members,
    }


def send(context: WorkerContext, notices: Sequence[dict[str, Any]]) -> None:
    """Receive thin events and drain."""
    for notice in notices:
        context.events.put(parse(orjson.dumps(notice), received_ms=int(time.time() * 1000)))
    drain(context, lambda: None)


def row_of(context: WorkerContext, event_id: str) -> Any:
    """What the inbox says of an event."""
    with context.engine.connect() as connection:
        return connection.execute(
            text("SELECT status, note, error, object_id FROM webhook_events WHERE id = :id"),
            {"id": event_id},
        ).one()


def pass_time(context: WorkerContext) -> None:
    """Let every pause end."""
    with context.engine.begin() as connection:
        connection.execute(text("UPDATE noticed_objects SET next_ask_at = now()"))
        connection.execute(text("UPDATE stripe_turn SET pause_until = now()"))


def an_invoice() -> tuple[AnsweringAccount, str]:
    """One life with a paid invoice; the invoice's id."""
    account = lives(3, customers=8)
    paid = next(event for event in account.events if event.type == "invoice.paid")
    return account, paid.payload["data"]["object"]["id"]


def test_a_ping_a_strange_type_and_an_event_without_object_are_kept_as_ignored(
    shop: tuple[WorkerContext, Offline, Asked],
) -> None:
    """Each with its reason, and nobody is asked."""
    context, _, gateway = shop
    send(
        context,
        [
            a_notice(1, type="v2.core.event_destination.ping"),
            a_notice(2, type="v1.price.created"),
            a_notice(3, related_object=None),
            a_notice(4, related_object={"id": "in_1", "url": "https://evil.test/v1/invoices/in_1"}),
            a_notice(5, context="acct_other"),
            a_notice(6, livemode=True),
        ],
    )
    fetch_noticed(context)
    rows = {number: row_of(context, f"evt_test_{number}") for number in range(1, 7)}
    assert {row.status for row in rows.values()} == {"ignored"}
    assert "ping" in rows[1].note
    assert "v1.price.created" not in rows[1].note
    assert rows[2].note == "thin events of type price.created mean nothing here"
    assert rows[3].note == rows[4].note == "it names no object that could be asked for"
    assert "another account, acct_other" in rows[5].note
    assert rows[6].note == "livemode event in test mode"
    assert gateway.paths == []


def test_our_own_account_may_be_named(shop: tuple[WorkerContext, Offline, Asked]) -> None:
    """As the end of a path through an organisation, too."""
    context, _, _ = shop
    context = replace(context, own=OwnAccount("acct_ours"))
    send(context, [a_notice(1, context="org_1/acct_ours")])
    assert row_of(context, "evt_test_1").status == "received"


def test_an_object_that_is_gone_leaves_the_event_dead_and_says_so(
    shop: tuple[WorkerContext, Offline, Asked],
) -> None:
    """Its snapshot event is tried first; a replay asks anew."""
    context, offline, gateway = shop
    send(context, [a_notice(1, snapshot_event="evt_gone")])
    fetch_noticed(context)
    assert [path for _, path in gateway.paths] == ["/v1/invoices/in_1", "/v1/events/evt_gone"]
    row = row_of(context, "evt_test_1")
    assert (row.status, row.error) == (
        "dead",
        "Stripe knows no such object for this key, and no event of it (in_1)",
    )
    assert offline.world.life_at("/v1/invoices/in_1") is None


def test_an_object_that_is_gone_is_known_by_its_event(
    shop: tuple[WorkerContext, Offline, Asked],
) -> None:
    """What it said at the time is still at Stripe."""
    context, offline, _ = shop
    account, invoice = an_invoice()
    answers = dict(account.answers())
    del answers[f"/v1/invoices/{invoice}"]
    offline.world.take_lives(answers.items())
    receive(context, as_thin(account))
    fetched = settle(context)
    assert fetched.given_up == 0
    assert set(statuses(context.engine).values()) <= {"applied", "ignored"}


def objects_waiting(context: WorkerContext) -> set[str]:
    """What the events are about that have not come to an end."""
    query = text("SELECT object_id FROM webhook_events WHERE status = 'received'")
    with context.engine.connect() as connection:
        return set(connection.execute(query).scalars())


def test_an_object_that_stripe_refuses_is_asked_for_again_and_the_rest_goes_on(
    shop: tuple[WorkerContext, Offline, Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event waits, readable, until the key may read it."""
    context, offline, gateway = shop
    account, invoice = an_invoice()
    offline.world.take_lives(account.answers())
    refusal = StripeKeyRefused.__new__(StripeKeyRefused)
    refusal.status, refusal.detail = 403, "PermissionError, HTTP 403"
    asked = gateway.noticed_object

    def refuse(path: str) -> Answer:
        if path.endswith(invoice):
            raise refusal
        return asked(path)

    monkeypatch.setattr(gateway, "noticed_object", refuse)
    receive(context, as_thin(account))
    deadline = time.monotonic() + 100.0
    while objects_waiting(context) != {invoice}:
        assert time.monotonic() < deadline, f"{objects_waiting(context)} still wait"
        with pytest.raises(AssertionError, match="still wait"):
            settle(context, seconds=0.1)
    with pytest.raises(AssertionError, match="still wait"):
        settle(context, seconds=1.0)
    assert objects_waiting(context) == {invoice}
    monkeypatch.setattr(gateway, "noticed_object", asked)
    pass_time(context)
    settle(context)
    assert set(statuses(context.engine).values()) <= {"applied", "ignored"}


def test_a_thousand_notices_of_one_object_are_one_question(
    shop: tuple[WorkerContext, Offline, Asked],
) -> None:
    """And the next ones are asked about a second later at the soonest."""
    context, offline, gateway = shop
    account, invoice = an_invoice()
    offline.world.take_lives(account.answers())
    related = {"id": invoice, "type": "invoice", "url": f"/v1/invoices/{invoice}"}
    send(context, [a_notice(number, related_object=related) for number in range(1_000)])
    while waiting(context.engine):
        fetch_noticed(context)
    assert len(gateway.paths) == 1
    send(context, [a_notice(2_000, related_object=related)])
    while waiting(context.engine):
        fetch_noticed(context)
    (first, _), (second, _) = gateway.paths
    assert second - first >= 0.95


def test_a_question_that_waited_for_the_budget_counts_from_when_it_was_asked(
    shop: tuple[WorkerContext, Offline, Asked],
) -> None:
    """And not from when its object was taken in hand, which may be seconds before."""
    context, offline, gateway = shop
    context = replace(context, questions_per_second=2.0)
    account = lives(3, customers=20)
    offline.world.take_lives(account.answers())
    invoices = sorted(
        {
            event.payload["data"]["object"]["id"]
            for event in account.events
            if event.type == "invoice.paid"
        }
    )[:4]
    related = [
        {"id": invoice, "type": "invoice", "url": f"/v1/invoices/{invoice}"} for invoice in invoices
    ]
    assert len(related) == 4
    send(context, [a_notice(place, related_object=one) for place, one in enumerate(related)])
    while waiting(context.engine):
        fetch_noticed(context)
    first, path = max(gateway.paths)
    last = next(one for one in related if one["url"] == path)
    send(context, [a_notice(9, related_object=last)])
    while waiting(context.engine):
        fetch_noticed(context)
    second, again = max(gateway.paths)
    assert path == again
    assert second - first >= 1.0


def test_questions_keep_to_the_budget(shop: tuple[WorkerContext, Offline, Asked]) -> None:
    """Whatever waits, no more than so many a second begin."""
    context, offline, gateway = shop
    account = lives(5, customers=6)
    offline.world.take_lives(account.answers())
    context = replace(context, questions_per_second=50.0)
    receive(context, as_thin(account))
    settle(context)
    begun = sorted(at for at, _ in gateway.paths)
    assert len(begun) > 50
    for start in begun:
        assert sum(start <= at < start + 1 for at in begun) <= 55
    # No object is asked for twice in a second; a snapshot event is asked for once at all.
    assert max(Counter(path for _, path in gateway.paths).values()) == 1


def test_while_stripe_is_away_everything_waits_and_little_is_asked(
    shop: tuple[WorkerContext, Offline, Asked],
) -> None:
    """Afterwards it comes to the same end; no try was counted against any event."""
    context, offline, gateway = shop
    account = lives(5, customers=6)
    offline.world.take_lives(account.answers())
    gateway.fails = StripeSilent()
    receive(context, as_thin(account))
    drain(context, lambda: None)
    for _ in range(20):
        fetch_noticed(context)
    # What was under way when it went away, then one question after each pause.
    assert len(gateway.paths) <= fetching.AT_ONCE + 2
    gateway.fails = None
    pass_time(context)
    settle(context)
    assert set(statuses(context.engine).values()) <= {"applied", "ignored"}


def test_twenty_kills_between_fetch_and_store_lose_nothing(
    shop: tuple[WorkerContext, Offline, Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that ends after Stripe answered, before the answer is stored, or half stored."""
    context, offline, _ = shop
    account = lives(7, customers=8)
    offline.world.take_lives(account.answers())

    class Killed(BaseException):
        """Nothing catches it, as nothing catches the end of a process."""

    deaths = 0
    store = answering.commit

    def die(context: WorkerContext, works: Sequence[PreparedEvent]) -> None:
        nonlocal deaths
        deaths += 1
        if deaths % 2:
            raise Killed
        store(context, works)
        raise Killed

    receive(context, as_thin(account))
    drain(context, lambda: None)
    monkeypatch.setattr(answering, "commit", die)
    while deaths < 20:
        with pytest.raises(Killed):
            fetch_noticed(context)
        # The turn of the dead runs out by itself, and so does its lease on the objects.
        with context.engine.begin() as connection:
            connection.execute(text("UPDATE stripe_turn SET holder = NULL, held_until = NULL"))
        pass_time(context)
    monkeypatch.setattr(answering, "commit", store)
    settle(context)
    assert set(statuses(context.engine).values()) <= {"applied", "ignored"}
    after = tables(context.engine)
    empty(context.engine)
    receive(context, account.events)
    settle(context)
    assert tables(context.engine)["balances"] == after["balances"]


def test_a_failure_of_stripe_is_made_up_for(
    shop: tuple[WorkerContext, Offline, Asked],
) -> None:
    """The object that nobody was told of is asked for; the list of the day is read again."""
    context, offline, _ = shop
    with context.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO reconcile_progress (reached_created) VALUES (:now)"),
            {"now": int(time.time())},
        )
    offline.world.generation_fails = True
    customer = offline.customer("unheard")
    offline.world.generation_fails = False
    failure = offline.world.log.posted[-1].event
    notice = {key: value for key, value in failure.payload.items() if key != "data"}
    send(context, [notice])
    settle(context)
    assert row_of(context, failure.id).status == "applied"
    with context.engine.connect() as connection:
        owner = connection.execute(
            text("SELECT user_id FROM customers WHERE id = :id"), {"id": customer}
        ).scalar_one()
        reached = connection.execute(
            text("SELECT reached_created FROM reconcile_progress")
        ).scalar_one()
        turn = connection.execute(text("SELECT waiting FROM stripe_turn")).scalar_one()
    assert owner == "unheard"
    assert reached <= time.time() - 80_000
    assert turn == "goes_on"


def test_a_missing_object_is_an_error_of_its_own() -> None:
    """It says that nothing was named, and is no silence of Stripe's."""
    error = StripeMissing.unnamed()
    assert error.status == 404
    assert not error.indeterminate


def test_events_show_says_what_is_waited_for(
    shop: tuple[WorkerContext, Offline, Asked],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before it is asked, and after Stripe did not answer."""
    from workers.commands.events import events  # noqa: PLC0415 - it needs the environment.

    context, _, gateway = shop
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))
    send(context, [a_notice(1)])
    shown = CliRunner().invoke(events, ["show", "evt_test_1"]).output
    assert "Stripe is to be asked for in_1" in shown
    gateway.fails = StripeSilent()
    fetch_noticed(context)
    shown = CliRunner().invoke(events, ["show", "evt_test_1"]).output
    assert "Stripe is asked again for in_1 at" in shown
