"""`rebuild` on real engines: what a decoder said wrongly is overwritten, the ledger only grows."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event, text

from db.engine import make_engine
from db.ledger import locks
from db.operations.replay import Selection
from db.queue.attempts import Request
from domain.decode import DECODERS, Decoder
from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.payments.claims import Customer
from domain.payments.objects import MoneyObject
from tests.domain.test_convergence import account_stories, shuffled
from tests.examples import examples
from tests.pipeline import a_worker_context, balances, empty, statuses, work
from tests.stripe_objects import (
    a_dispute,
    a_line,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
    an_invoice_payment,
)
from workers.commands.command_line import command_line
from workers.context import WorkerContext
from workers.operations import rebuild as module
from workers.operations.audit import Finding, audit
from workers.operations.rebuild import Proposal, Rebuilt, Steps, UnreadableEventsError, rebuild
from workers.operations.replay import Replay

Run = Callable[..., Result]
Change = Callable[[str], None]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on the test database."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(command_line, ["rebuild", *arguments])

    return invoke


def silent(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""


def rebuilt(context: WorkerContext, user_id: str | None = None) -> Rebuilt:
    """Rebuild without a command line and without a question."""
    return rebuild(context.engine, Steps(silent, silent, lambda _proposal: True), user_id=user_id)


def differences(context: WorkerContext) -> list[Finding]:
    """What an audit finds."""
    found: list[Finding] = []
    audit(context.engine, found.append, silent)
    return found


def entries(context: WorkerContext) -> list[tuple[Any, ...]]:
    """The ledger as it stands."""
    with context.engine.connect() as connection:
        query = "SELECT id, user_id, delta, kind, payment_id, event_id FROM ledger_entries"
        return [tuple(row) for row in connection.execute(text(f"{query} ORDER BY id"))]


@contextmanager
def saying(event_type: str, decoder: Decoder | None) -> Iterator[None]:
    """Today's code says something else of a type, or nothing."""
    with pytest.MonkeyPatch.context() as patch:
        if decoder is None:
            patch.delitem(DECODERS, event_type)
        else:
            patch.setitem(DECODERS, event_type, decoder)
        yield


def ten_times(source: Source) -> list[Fact]:
    """Invoice lines ten times too large, as a decoder that reads the wrong unit would have them."""
    return [_enlarged(fact) for fact in DECODERS["invoice.voided"](source)]


def _enlarged(fact: Fact) -> Fact:
    if not (isinstance(fact, MoneyObject) and fact.invoice):
        return fact
    lines = [line._replace(amount_minor=10 * line.amount_minor) for line in fact.invoice.lines]
    details = fact.invoice._replace(lines=tuple(lines), rank=4)
    return fact._replace(invoice=details)


def a_renewal(user: str = "user_1", number: int = 1) -> list[dict[str, Any]]:
    """A subscription paid once, with its link to the intent."""
    ids = {"customer": f"cus_{number}"}
    sub = f"sub_{number}"
    invoice = an_invoice(
        [a_line(2_900, subscription=sub)],
        id=f"in_{number}",
        subscription=sub,
        metadata={"user_id": user, "plan_id": "2"},
        **ids,
    )
    subscription = a_subscription(id=sub, metadata={"user_id": user, "plan_id": "2"}, **ids)
    return [
        an_event("customer.subscription.created", subscription),
        an_event("invoice.paid", invoice, created=1_700_000_010),
        an_event("invoice_payment.paid", an_invoice_payment(f"in_{number}", f"pi_{number}")),
    ]


def test_what_a_decoder_said_ten_times_too_large_is_mended(
    context: WorkerContext, run: Run
) -> None:
    """The dry run shows it, a replay cannot mend it, the rebuild posts it, the audit is clean."""
    with saying("invoice.paid", ten_times):
        work(context, [*a_renewal(), *a_renewal("user_2", 2)])
    assert balances(context.engine) == {"user_1": 100_000, "user_2": 100_000}
    before = entries(context)
    selection = Selection(event_type="invoice.paid")
    Replay(context.engine).run(selection, Request("me"), silent)
    assert balances(context.engine)["user_1"] == 100_000
    dry = run("--dry-run")
    assert dry.exit_code == 0, dry.output
    shown = [line.split() for line in dry.output.splitlines()]
    assert ["in_1", "tokens", "100000", "10000"] in shown
    assert ["user_1", "balance", "100000", "10000"] in shown
    assert entries(context) == before
    done = run()
    assert done.exit_code == 0, done.output
    assert (
        "Rebuilt: 2 ledger entries posted; the tables are what the events make them." in done.output
    )
    assert entries(context)[: len(before)] == before
    assert [each[1:] for each in entries(context)[len(before) :]] == [
        ("user_1", -90_000, "adjustment", "in_1", None),
        ("user_2", -90_000, "adjustment", "in_2", None),
    ]
    assert differences(context) == []
    assert "Nothing to rebuild" in run().output
    story = CliRunner().invoke(command_line, ["explain", "--user", "user_1"]).output
    assert "stands for 10,000 tokens (found when payments were valued anew)" in story


def test_only_one_users_subjects_are_touched(context: WorkerContext, run: Run) -> None:
    """The other's payment stays wrong until it is asked for."""
    with saying("invoice.paid", ten_times):
        work(context, [*a_renewal(), *a_renewal("user_2", 2)])
    shown = run("--user", "user_2", "--dry-run").output
    assert "in_2" in shown
    assert "in_1" not in shown
    assert run("--user", "user_2", "--yes").exit_code == 0
    assert balances(context.engine) == {"user_1": 100_000, "user_2": 10_000}
    assert "Nothing to rebuild" in run("--user", "user_2").output


def test_facts_underneath_are_overwritten_where_nothing_shows_yet(context: WorkerContext) -> None:
    """Wrong lines of an open invoice would be worth money once it is paid."""
    lines = an_invoice([a_line(2_900)], metadata={"user_id": "user_1"}, status="open")

    def wrong(source: Source) -> list[Fact]:
        return [
            fact._replace(invoice=fact.invoice._replace(currency="eur", rank=1))
            if isinstance(fact, MoneyObject) and fact.invoice
            else fact
            for fact in DECODERS["invoice.voided"](source)
        ]

    with saying("invoice.payment_failed", wrong):
        work(context, [an_event("invoice.payment_failed", lines)])
    assert rebuilt(context).is_done
    with context.engine.connect() as connection:
        facts = connection.execute(
            text("SELECT facts FROM payments WHERE id = 'in_1'")
        ).scalar_one()
    assert facts["invoice"]["currency"] == "usd"


def test_rows_that_no_event_calls_for_are_reversed_and_deleted(context: WorkerContext) -> None:
    """A decoder that took every session's own id wrongly left payments that never were."""

    def wrong(source: Source) -> list[Fact]:
        return [
            fact._replace(id="cs_never") if isinstance(fact, MoneyObject) and fact.session else fact
            for fact in DECODERS["checkout.session.expired"](source)
        ]

    with saying("checkout.session.completed", wrong):
        work(context, [an_event("checkout.session.completed", a_session())])
    assert rebuilt(context).is_done
    assert [(each[2], each[4]) for each in entries(context)] == [
        (1_000, "cs_never"),
        (-1_000, "cs_never"),
        (1_000, "cs_1"),
    ]
    with context.engine.connect() as connection:
        kept = connection.execute(text("SELECT id FROM payments ORDER BY id")).scalars().all()
    assert kept == ["cs_1", "pi_1"]
    assert differences(context) == []


def test_a_wrong_owner_is_overwritten_with_all_that_follows(context: WorkerContext) -> None:
    """A join would keep the earlier claim for ever."""

    def wrong(source: Source) -> list[Fact]:
        return [Customer("cus_1", "user_9", source.event.stamp)]

    owner = an_event("customer.created", {"id": "cus_1", "object": "customer"}, created=1)
    bought = a_session(client_reference_id=None, metadata={"plan_id": "4"})
    with saying("customer.created", wrong):
        work(context, [owner, an_event("checkout.session.completed", bought)])
    assert balances(context.engine) == {"user_9": 1_000}
    done = rebuilt(context)
    assert (done.is_done, done.entries) == (True, 1)
    assert balances(context.engine) == {}
    assert differences(context) == []


def test_wrong_refunds_and_disputes_are_overwritten(context: WorkerContext) -> None:
    """Reports that overstate stay the largest in a join."""
    story = [
        *a_renewal(),
        an_event("refund.created", a_refund(amount=1_450)),
        an_event("checkout.session.completed", a_session(id="cs_2", payment_intent="pi_2")),
        an_event("payment_intent.succeeded", an_intent(id="pi_2")),
        an_event(
            "charge.dispute.funds_withdrawn",
            a_dispute(payment_intent="pi_2", charge="ch_2", amount=100),
        ),
    ]
    work(context, story)
    right = balances(context.engine)
    with context.engine.begin() as connection:
        connection.execute(text("UPDATE refunds SET amount_minor = 2900"))
        connection.execute(text("DELETE FROM disputes"))
    replay = Replay(context.engine)
    replay.run(Selection(event_type="invoice_payment.paid"), Request("me"), silent)
    assert differences(context)
    assert rebuilt(context).is_done
    assert (differences(context), balances(context.engine)) == ([], right)


def test_an_adjustment_is_not_lost_and_not_doubled(context: WorkerContext, run: Run) -> None:
    """A person's word is an event like the others."""
    with saying("invoice.paid", ten_times):
        work(context, a_renewal())
    CliRunner().invoke(
        command_line, ["adjust", "--user", "user_1", "--amount", "7", "--reason", "r", "--id", "1"]
    )
    assert rebuilt(context).is_done
    assert balances(context.engine) == {"user_1": 10_007}
    with context.engine.begin() as connection:
        connection.execute(text("ALTER TABLE ledger_entries DISABLE TRIGGER USER"))
        connection.execute(text("DELETE FROM ledger_entries WHERE event_id = 'manual_1'"))
        connection.execute(text("ALTER TABLE ledger_entries ENABLE TRIGGER USER"))
        connection.execute(text("UPDATE token_accounts SET balance = 10000"))
    assert run("--user", "user_1").exit_code == 0
    assert entries(context)[-1][1:] == ("user_1", 7, "adjustment", None, "manual_1")
    assert balances(context.engine) == {"user_1": 10_007}


def test_a_balance_that_drifted_is_made_the_sum_of_its_entries(
    context: WorkerContext, run: Run
) -> None:
    """No entry is posted for it: the ledger is right."""
    work(context, a_renewal())
    with context.engine.begin() as connection:
        connection.execute(text("UPDATE token_accounts SET balance = 1"))
    done = run()
    assert "0 ledger entries posted" in done.output, done.output
    assert balances(context.engine) == {"user_1": 10_000}
    assert differences(context) == []


def test_events_that_todays_code_ignores_are_said_to_be(context: WorkerContext, run: Run) -> None:
    """What they did is taken back, and the inbox tells why."""
    bought = an_event("checkout.session.completed", a_session(), event_id="evt_foreign")
    work(context, [bought, *a_renewal("user_2", 2)])
    with saying("checkout.session.completed", None):
        shown = run("--dry-run").output
        assert "event evt_foreign would be ignored: " in shown
        assert run().exit_code == 0
        assert differences(context) == []
    assert statuses(context.engine)["evt_foreign"] == "ignored"
    assert balances(context.engine) == {"user_2": 10_000}
    with context.engine.connect() as connection:
        note = connection.execute(
            text("SELECT note FROM webhook_events WHERE id = 'evt_foreign'")
        ).scalar_one()
    assert note == "checkout.session.completed has no effect any more"


def test_events_of_a_type_that_was_not_handled_take_effect(
    context: WorkerContext, run: Run
) -> None:
    """They were stored as they came; what they mean is derived anew."""
    with saying("checkout.session.completed", None):
        work(context, [an_event("checkout.session.completed", a_session(), event_id="evt_early")])
    live = an_event("checkout.session.completed", a_session(id="cs_live"), event_id="evt_live")
    drained = replace(context, test_mode=True)
    work(drained, [live | {"livemode": True}])
    assert set(statuses(context.engine).values()) == {"ignored"}
    assert differences(context) != []
    assert "event evt_early was ignored and would be applied" in run("--dry-run").output
    told = run()
    assert told.exit_code == 0
    assert "1 ignored events applied" in told.output
    assert statuses(context.engine) == {"evt_early": "applied", "evt_live": "ignored"}
    assert balances(context.engine) == {"user_1": 1_000}
    assert differences(context) == []
    assert "Nothing to rebuild" in run().output


def test_events_that_can_no_longer_be_applied_stop_it(context: WorkerContext, run: Run) -> None:
    """Their money would be taken back by a bug."""
    work(context, a_renewal())

    def broken(source: Source) -> list[Fact]:
        raise ValueError(source.event.id)

    with saying("invoice.paid", broken):
        with pytest.raises(UnreadableEventsError, match="1 applied events can no longer be"):
            rebuilt(context)
        told = run()
    assert told.exit_code == 1
    assert "Nothing was changed: mend the code first." in told.output
    assert balances(context.engine) == {"user_1": 10_000}


def test_what_was_written_meanwhile_is_put_off_to_another_round(context: WorkerContext) -> None:
    """A refund that comes in between is neither lost nor overwritten."""
    with saying("invoice.paid", ten_times):
        work(context, a_renewal())
    calls: list[Proposal] = []

    def meanwhile(proposal: Proposal) -> bool:
        calls.append(proposal)
        work(context, [an_event("refund.created", a_refund(amount=1_450))])
        return True

    done = rebuild(context.engine, Steps(silent, silent, meanwhile))
    assert (done.is_done, done.rounds, len(calls)) == (True, 2, 1)
    assert balances(context.engine) == {"user_1": 5_000}
    assert differences(context) == []


def test_a_subject_that_is_locked_is_put_off(context: WorkerContext, second: Engine) -> None:
    """Whoever holds it for long holds up only itself."""
    with saying("invoice.paid", ten_times):
        work(context, [*a_renewal(), *a_renewal("user_2", 2)])
    with second.connect() as holder:

        def hold(_proposal: Proposal) -> bool:
            locks.acquire(holder, {"cus_1"})
            return True

        def release(done: int, total: int) -> None:
            if done == total and holder.in_transaction():
                assert balances(context.engine) == {"user_1": 100_000, "user_2": 10_000}
                holder.rollback()

        done = rebuild(context.engine, Steps(silent, release, hold))
    assert (done.is_done, done.rounds) == (True, 2)
    assert balances(context.engine) == {"user_1": 10_000, "user_2": 10_000}


@pytest.fixture
def second(database_url: str) -> Iterator[Engine]:
    """Another engine on the same database."""
    engine = make_engine(database_url, pool_size=1)
    yield engine
    engine.dispose()


def test_broken_off_it_goes_on_where_it_was(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every batch stands by itself; the second run does the rest, and nothing twice."""
    monkeypatch.setattr(module, "BATCH_ROWS", 1)
    with saying("invoice.paid", ten_times):
        work(context, [*a_renewal(), *a_renewal("user_2", 2)])

    class Broken(Exception):  # noqa: N818 - a test's own.
        pass

    def stop(done: int, _total: int) -> None:
        if done:
            raise Broken

    with pytest.raises(Broken):
        rebuild(context.engine, Steps(silent, stop, lambda _proposal: True))
    assert sorted(balances(context.engine).values()) == [10_000, 100_000]
    done = rebuilt(context)
    assert (done.is_done, done.entries) == (True, 1)
    assert balances(context.engine) == {"user_1": 10_000, "user_2": 10_000}


def test_every_batch_is_a_transaction_of_its_own(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five payments, two rows at a time: nobody waits for all of them."""
    with saying("invoice.paid", ten_times):
        work(context, [each for number in range(1, 6) for each in a_renewal(f"u{number}", number)])
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    commits: list[Connection] = []

    def count(connection: Connection) -> None:
        commits.append(connection)

    event.listen(context.engine, "commit", count)
    assert rebuilt(context).is_done
    event.remove(context.engine, "commit", count)
    assert len(commits) == 3


def test_without_agreement_nothing_changes(context: WorkerContext) -> None:
    """A person looks at the summary first."""
    with saying("invoice.paid", ten_times):
        work(context, a_renewal())
    done = rebuild(context.engine, Steps(silent, silent, lambda _proposal: False))
    assert (done.is_done, done.rounds) == (False, 0)
    assert balances(context.engine) == {"user_1": 100_000}


def test_programs_get_one_object(context: WorkerContext, run: Run) -> None:
    """Before and after of every column, and what came of it."""
    with saying("invoice.paid", ten_times):
        work(context, a_renewal())
    told = json.loads(run("--json", "--dry-run").output)
    assert {
        "table": "payments",
        "id": "in_1",
        "column": "tokens",
        "before": 100_000,
        "after": 10_000,
    } in told["changes"]
    told = json.loads(run("--json").output)
    assert (told["done"], told["ledger_entries"], told["remaining"]) == (True, 1, 0)


def test_beside_a_running_worker_nothing_is_lost(
    context: WorkerContext, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renewals and refunds of the same customers come in while their past is mended."""
    monkeypatch.setattr(module, "BATCH_ROWS", 3)
    numbers = range(1, 21)
    with saying("invoice.paid", ten_times):
        work(context, [each for number in numbers for each in a_renewal(f"u{number}", number)])
    worker = a_worker_context(database_url, redis_url, consumer="beside")
    news = [each for number in numbers for each in a_refund_and_a_package(number)]

    def live() -> None:
        for at in range(0, len(news), 2):
            work(worker, news[at : at + 2])

    beside = threading.Thread(target=live)

    def agree(_proposal: Proposal) -> bool:
        beside.start()
        return True

    done = rebuild(context.engine, Steps(silent, silent, agree))
    beside.join()
    worker.engine.dispose()
    assert done.is_done or rebuilt(context).is_done
    assert balances(context.engine) == {f"u{number}": 6_000 for number in numbers}
    assert differences(context) == []


def a_refund_and_a_package(number: int) -> list[dict[str, Any]]:
    """Half of a renewal goes back, and a package is bought."""
    refund = a_refund(id=f"re_{number}", payment_intent=f"pi_{number}", charge=None, amount=1_450)
    ids = {"id": f"cs_{number}", "payment_intent": f"pi_9{number}", "customer": f"cus_{number}"}
    owner = {"client_reference_id": None, "metadata": {"plan_id": "4", "user_id": f"u{number}"}}
    return [
        an_event("refund.created", refund),
        an_event("checkout.session.completed", a_session(**ids, **owner)),
    ]


@examples(8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_tables_said_a_rebuild_makes_them_right(
    context: WorkerContext, data: st.DataObject
) -> None:
    """Any story, then rows lost and facts spoiled at random: the end is what the events say."""
    empty(context.engine)
    story = data.draw(account_stories())
    work(context, shuffled(data.draw, story.events))
    right = balances(context.engine)
    spoil = data.draw(st.lists(st.sampled_from(SPOILERS), unique=True))
    with context.engine.begin() as connection:
        for statement in spoil:
            connection.execute(text(statement))
    assert rebuilt(context).is_done
    assert balances(context.engine) == right
    assert differences(context) == []


SPOILERS = (
    "DELETE FROM customers",
    "DELETE FROM refunds",
    "UPDATE disputes SET amount_minor = amount_minor + 1",
    "UPDATE payments SET facts = '{}'",
    "UPDATE payments SET customer_id = 'cus_other'",
    "DELETE FROM payments WHERE kind = 'intent'",
    "UPDATE payments SET tokens = tokens + 5 WHERE root_id = id",
    "UPDATE subscriptions SET versions = NULL, status = 'paused'",
    "UPDATE token_accounts SET balance = balance + 3",
    "INSERT INTO customers (id) VALUES ('cus_forged')",
)
