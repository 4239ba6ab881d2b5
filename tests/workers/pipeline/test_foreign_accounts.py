"""Events of connected accounts: kept, told, counted, and never looked into."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

import celery_config
import settings
from db.operations.replay import Selection
from db.questions import own_account as tables
from db.queue import inbox
from db.queue.attempts import Request
from stripe_gateway import key_hash, open_gateway
from tests.ingest.builders import ENVIRONMENT
from tests.pipeline import a_delivery, balances, work
from tests.stripe_objects import a_session, an_event
from tests.stripe_server import StripeServer, serve
from workers import tasks
from workers.context import WorkerContext
from workers.operations.audit import Finding, Verdict, audit
from workers.operations.replay import Replay
from workers.pipeline.drain import drain
from workers.questions import own_account, turn
from workers.questions.own_account import OwnAccount, configured

OURS, THEIRS = "acct_ours", "acct_theirs"
ACCOUNT = "/v1/account"
IGNORED = "billing_events_ignored_total"


@pytest.fixture(scope="module")
def stripe_server() -> Iterator[StripeServer]:
    """A server in Stripe's place."""
    with serve() as found:
        yield found


@pytest.fixture
def stripe(stripe_server: StripeServer) -> StripeServer:
    """The same, of an account of ours."""
    stripe_server.answers.clear()
    stripe_server.asked.clear()
    stripe_server.status = 200
    stripe_server.answers[ACCOUNT] = {"id": OURS, "object": "account"}
    return stripe_server


@pytest.fixture
def context(context: WorkerContext, stripe: StripeServer) -> WorkerContext:
    """A worker that has a key and has not asked yet whose it is."""
    with context.engine.begin() as connection:
        connection.execute(text("DELETE FROM own_account"))
    return with_key(context, stripe)


def with_key(context: WorkerContext, stripe: StripeServer, **variables: str) -> WorkerContext:
    """A process that starts with these settings."""
    found = settings.load(
        environ=ENVIRONMENT
        | {"STRIPE_SECRET_KEY": "sk_test_of_the_tests", "STRIPE_API_BASE": stripe.url}
        | variables
    )
    return replace(context, gateway=open_gateway(found), own=configured(found), test_mode=True)


def ask(context: WorkerContext) -> None:
    """What the task does."""
    if own_account.is_wanted(context.engine, context.own):
        turn.in_turn(context, partial(own_account.ask, context.engine, context.own))


def sale(account: str | None = None, **more: Any) -> dict[str, Any]:
    """A package, bought by user_1; at a connected account whoever owns it writes the metadata."""
    event = an_event("checkout.session.completed", a_session(), event_id="evt_sale")
    return event | ({"account": account} if account else {}) | more


def kept(context: WorkerContext) -> tuple[str, str | None]:
    """What the inbox says of the sale."""
    with context.engine.connect() as connection:
        row = connection.execute(text("SELECT status, note FROM webhook_events")).one()
    return row.status, row.note


def count(reason: str) -> float:
    """How many events were left alone for this reason."""
    return REGISTRY.get_sample_value(IGNORED, {"reason": reason}) or 0.0


def test_a_sale_at_another_account_grants_nothing(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept with the reason, is counted, and no decoder sees it."""
    monkeypatch.setattr("workers.pipeline.prepared_event.decode", None)
    before = count("foreign_account")
    work(context, [sale(THEIRS)])
    assert kept(context) == (
        "ignored",
        f"event of another account, {THEIRS}; which is ours is not known",
    )
    assert balances(context.engine) == {}
    assert count("foreign_account") - before == 1


@pytest.mark.parametrize("more", [{"context": THEIRS}, {"account": THEIRS, "livemode": True}])
def test_however_it_is_named(context: WorkerContext, more: dict[str, Any]) -> None:
    """As thin events name it, and in whatever mode."""
    work(context, [sale(**more)])
    assert kept(context)[0] == "ignored"
    assert THEIRS in (kept(context)[1] or "")


def test_the_account_of_the_key_is_ours(context: WorkerContext) -> None:
    """Once Stripe has said so; an event that names it counts like one that names none."""
    ask(context)
    work(context, [sale(OURS)])
    assert kept(context)[0] == "applied"
    assert balances(context.engine) == {"user_1": 1_000}


def test_another_account_stays_another_when_ours_is_known(context: WorkerContext) -> None:
    """The note names both."""
    ask(context)
    work(context, [sale(THEIRS)])
    assert kept(context) == ("ignored", f"event of another account, {THEIRS}; ours is {OURS}")


def test_without_a_key_the_setting_says_which_is_ours(context: WorkerContext) -> None:
    """And with one that may not ask."""
    plain = replace(context, gateway=None, own=OwnAccount(setting=OURS))
    work(plain, [sale(OURS)])
    assert kept(context)[0] == "applied"


def test_what_the_key_says_goes_before_the_setting(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """The setting is for where no key says it."""
    told = with_key(context, stripe, STRIPE_ACCOUNT=THEIRS)
    with context.engine.connect() as connection:
        assert told.own.read(connection) == THEIRS
        ask(told)
        assert told.own.read(connection) == OURS


def test_stripe_is_asked_once_and_never_by_a_drain(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """Not by any process of this key; another key is asked about anew."""
    work(context, [sale(OURS)])
    assert stripe.asked == []
    for _ in range(2):
        ask(context)
    ask(with_key(context, stripe))
    assert stripe.asked == [ACCOUNT]
    ask(with_key(context, stripe, STRIPE_SECRET_KEY="sk_test_another"))
    assert stripe.asked == [ACCOUNT, ACCOUNT]


def test_a_drain_asks_the_database_only_until_it_knows(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account of a key never changes."""
    ask(context)
    drain(context, lambda: None)
    monkeypatch.setattr(tables, "known", None)
    drain(context, lambda: None)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_key_that_may_not_ask_is_not_asked_again_and_again(
    context: WorkerContext, stripe: StripeServer, status: int
) -> None:
    """Only after an hour."""
    stripe.status = status
    for _ in range(3):
        ask(context)
    assert stripe.asked == [ACCOUNT]
    with context.engine.begin() as connection:
        connection.execute(text("UPDATE own_account SET asked_at = now() - interval '61 minutes'"))
    stripe.status = 200
    ask(context)
    with context.engine.connect() as connection:
        assert context.own.read(connection) == OURS


def test_a_stripe_that_does_not_answer_is_asked_again_soon(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """Nothing is remembered of that."""
    stripe.status = 500
    ask(context)
    stripe.status = 200
    ask(context)
    with context.engine.connect() as connection:
        assert context.own.read(connection) == OURS


def test_the_key_is_not_in_the_table(context: WorkerContext) -> None:
    """Only what stands for it."""
    ask(context)
    with context.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM own_account")).one()
    assert "sk_test" not in str(row)
    environ = ENVIRONMENT | {"STRIPE_SECRET_KEY": "sk_test_of_the_tests"}
    assert row.key_hash == key_hash(settings.load(environ=environ))
    assert key_hash(settings.load(environ=environ | {"STRIPE_ENABLED": "False"})) is None


def audited(context: WorkerContext, own: str | None) -> tuple[Verdict, list[Finding]]:
    """An audit, and what it found."""
    found: list[Finding] = []
    verdict = audit(context.engine, found.append, lambda _done, _total: None, own_account=own)
    return verdict, found


def test_what_old_code_applied_of_another_account_is_found_by_the_audit(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under today's code it counts for nothing, so what it did is a difference."""
    monkeypatch.setattr("workers.pipeline.prepared_event.stranger", lambda *_all, **_more: None)
    work(context, [sale(THEIRS)])
    monkeypatch.undo()
    assert balances(context.engine) == {"user_1": 1_000}
    verdict, found = audited(context, OURS)
    assert not verdict.is_clean
    tables_told = {finding.difference.table for finding in found}
    assert {"payments", "token_accounts"} <= tables_told
    assert audited(context, THEIRS)[0].is_clean


def test_a_replay_leaves_it_alone(context: WorkerContext) -> None:
    """Like a drain; once the right account is known it is applied."""
    work(context, [sale(OURS)])
    assert kept(context)[0] == "ignored"
    request = Request(by="ada", reason="mended")
    for own, status in ((None, "ignored"), (OURS, "applied")):
        Replay(context.engine, test_mode=True, own_account=own).run(
            Selection(), request, lambda _done, _total: None
        )
        assert kept(context)[0] == status
    assert balances(context.engine) == {"user_1": 1_000}


def test_the_other_mode_and_other_types_are_counted_apart(context: WorkerContext) -> None:
    """What means nothing is no reason to wake anybody."""
    before = count("other_mode"), count("type"), count("foreign_account")
    ping = an_event("ping", {"id": "x_1", "object": "x"}, event_id="evt_ping")
    work(context, [sale(livemode=True), ping])
    after = count("other_mode"), count("type"), count("foreign_account")
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 0]


def test_a_stored_event_of_another_account_is_left_alone_too(context: WorkerContext) -> None:
    """What came by way of the inbox is looked at like what came by the stream."""
    with context.engine.begin() as connection:
        inbox.store(connection, [a_delivery(sale(THEIRS))], source="webhook")
    assert drain(context, lambda: None).ignored == 1
    assert balances(context.engine) == {}


def test_the_clock_asks_and_a_task_answers(
    context: WorkerContext, stripe: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every minute; what is known already costs no question."""
    monkeypatch.setattr(tasks, "context", lambda: context)
    tasks.account()
    tasks.account()
    assert stripe.asked == [ACCOUNT]
    schedule = celery_config.make_app(settings.load(environ=ENVIRONMENT)).conf.beat_schedule
    assert schedule["account"]["task"] == tasks.account.name
