"""The audit on real engines: silent on what the pipeline made, loud on everything else."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from db.operations import redis_seen
from db.operations.differences import WHOLE_ROW
from db.queue import inbox
from domain.events import Delivery, EventStatus
from tests.domain.test_convergence import account_stories, shuffled
from tests.examples import examples
from tests.pipeline import a_delivery, balances, empty, work
from tests.stripe_objects import (
    a_customer,
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
from workers.commands.audit import audit as command
from workers.context import WorkerContext
from workers.operations import recompute as module
from workers.operations.audit import Finding, Verdict, audit
from workers.pipeline.drain import drain

Change = Callable[[str], None]


@pytest.fixture
def tamper(context: WorkerContext) -> Change:
    """Changes the tables behind the pipeline's back."""

    def change(statement: str) -> None:
        with tampering(context.engine) as connection:
            assert connection.execute(text(statement)).rowcount == 1

    return change


@contextmanager
def tampering(engine: Engine) -> Iterator[Any]:
    """A transaction in which even the ledger may be changed."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE ledger_entries DISABLE TRIGGER USER"))
        yield connection
        connection.execute(text("ALTER TABLE ledger_entries ENABLE TRIGGER USER"))


def audited(context: WorkerContext) -> tuple[Verdict, list[Finding]]:
    """Run an audit without a command line."""
    found: list[Finding] = []
    return audit(context.engine, found.append, lambda _done, _total: None), found


def told(findings: list[Finding]) -> list[tuple[str, str, dict[str, Any], list[str]]]:
    """Findings as plain values."""
    return [
        (each.difference.table, each.difference.id, dict(each.difference.columns), [*each.events])
        for each in findings
    ]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command on the test database."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(command, arguments)

    return invoke


def an_account() -> list[dict[str, Any]]:
    """A renewal with a refund of half, and a package."""
    line = a_line(2_900)
    return [
        an_event("customer.subscription.created", a_subscription(), event_id="evt_began"),
        an_event("invoice.paid", an_invoice([line]), event_id="evt_paid", created=1_700_000_010),
        an_event(
            "invoice_payment.paid",
            an_invoice_payment("in_1", "pi_1"),
            event_id="evt_linked",
            created=1_700_000_011,
        ),
        an_event(
            "refund.created",
            a_refund(amount=1_450),
            event_id="evt_refunded",
            created=1_700_000_100,
        ),
        an_event(
            "checkout.session.completed",
            a_session(id="cs_2", payment_intent="pi_2"),
            event_id="evt_package",
            created=1_700_000_200,
        ),
    ]


@examples(12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_the_pipeline_made_is_clean_in_whatever_order_it_came(
    context: WorkerContext, data: st.DataObject
) -> None:
    """Any story, any order, duplicates, two batches: the audit takes another order, same end."""
    empty(context.engine)
    story = data.draw(account_stories())
    delivered = shuffled(data.draw, story.events)
    cut = data.draw(st.integers(0, len(delivered)))
    work(context, delivered[:cut])
    work(context, delivered[cut:])
    verdict, findings = audited(context)
    assert told(findings) == []
    assert verdict.is_clean
    assert verdict.counts.applied == len(story.events)


def test_many_batches_make_no_difference(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, tamper: Change
) -> None:
    """One event a batch is as clean, and a difference is found all the same."""
    monkeypatch.setattr(module, "BATCH", 1)
    monkeypatch.setattr(module, "FIRST_STATISTICS", 2)
    work(context, an_account())
    assert audited(context)[0].is_clean
    tamper("UPDATE token_accounts SET balance = 1")
    assert audited(context)[0].differences == 1


def test_a_tampered_balance_is_reported_with_the_events_behind_it(
    context: WorkerContext, tamper: Change
) -> None:
    """Half of 10,000, and 1,000: the account must say 6,000."""
    work(context, an_account())
    tamper("UPDATE token_accounts SET balance = 7777 WHERE user_id = 'user_1'")
    verdict, findings = audited(context)
    events = ["evt_package", "evt_refunded", "evt_linked", "evt_paid", "evt_began"]
    balance = {"balance": (7_777, 6_000)}
    assert told(findings) == [("token_accounts", "user_1", balance, events)]
    assert not verdict.is_clean


def test_a_tampered_subscription_is_reported(context: WorkerContext, tamper: Change) -> None:
    """With both values and the event that told of it, not one that was ignored."""
    ignored = an_event("customer.subscription.something_new", a_subscription())
    work(context, [*an_account(), ignored])
    tamper("UPDATE subscriptions SET status = 'canceled'")
    status = {"status": ("canceled", "active")}
    assert told(audited(context)[1]) == [("subscriptions", "sub_1", status, ["evt_began"])]


def test_a_missing_ledger_entry_is_reported(context: WorkerContext, tamper: Change) -> None:
    """At its payment, at the account, and where the chain of balances breaks."""
    for event in an_account():
        work(context, [event])
    tamper("DELETE FROM ledger_entries WHERE kind = 'reversal'")
    payment, entry, account = told(audited(context)[1])
    assert payment == (
        "ledger_entries",
        "in_1",
        {"sum for user_1": (10_000, 5_000)},
        # Those of the payment first, then what its customer and its subscription add.
        ["evt_refunded", "evt_linked", "evt_paid", "evt_package", "evt_began"],
    )
    assert entry[2:] == ({"balance_after": (6_000, 11_000)}, ["evt_package"])
    assert account[:3] == ("token_accounts", "user_1", {"sum of entries": (11_000, 6_000)})


def test_a_lost_effect_is_reported(context: WorkerContext) -> None:
    """An event marked applied whose rows were never written."""
    work(context, an_account()[:3])
    mark_applied(context, a_delivery(an_account()[3]))
    found = {(table, row): columns for table, row, columns, _ in told(audited(context)[1])}
    assert found["refunds", "re_1"][WHOLE_ROW][0] is None
    assert found["refunds", "re_1"][WHOLE_ROW][1]["amount_minor"] == 1_450
    assert found["payments", "in_1"] == {
        "status": ("paid", "partially_refunded"),
        "refunded_minor": (0, 1_450),
        "tokens": (10_000, 5_000),
    }
    assert found["payments", "ch_1"][WHOLE_ROW][0] is None
    assert found["ledger_entries", "in_1"] == {"sum for user_1": (10_000, 5_000)}
    assert found["token_accounts", "user_1"]["balance"] == (10_000, 5_000)
    for _, _, _, events in told(audited(context)[1]):
        assert "evt_refunded" in events


@pytest.mark.parametrize(
    ("change", "place", "columns"),
    [
        ("UPDATE customers SET user_id = 'x'", ("customers", "cus_1"), {"user_id"}),
        ("UPDATE refunds SET status = 'failed'", ("refunds", "re_1"), {"status"}),
        ("UPDATE disputes SET funds = 'withdrawn'", ("disputes", "dp_1"), {"funds"}),
        ("UPDATE payments SET root_id = id WHERE id = 'pi_1'", ("payments", "pi_1"), {"root_id"}),
        ("UPDATE payments SET tokens = 1 WHERE id = 'cs_2'", ("payments", "cs_2"), {"tokens"}),
        (
            "UPDATE payments SET packages = NULL WHERE id = 'cs_2'",
            ("payments", "cs_2"),
            {"packages"},
        ),
        (
            "UPDATE subscriptions SET status_since = now(), paused_since = now()",
            ("subscriptions", "sub_1"),
            {"status_since", "paused_since"},
        ),
        (
            "UPDATE token_accounts SET last_grant = 7",
            ("token_accounts", "user_1"),
            {"last_grant"},
        ),
        ("DELETE FROM payments WHERE id = 'pi_2'", ("payments", "pi_2"), {WHOLE_ROW}),
    ],
)
def test_every_table_is_compared(
    context: WorkerContext, tamper: Change, change: str, place: tuple[str, str], columns: set[str]
) -> None:
    """One changed value, one difference, with its events."""
    dispute = a_dispute(id="dp_1", payment_intent="pi_2", charge="ch_2", status="won")
    work(context, [*an_account(), an_event("charge.dispute.closed", dispute)])
    tamper(change)
    [(table, row, found, events)] = told(audited(context)[1])
    assert ((table, row), set(found)) == (place, columns)
    assert events


def test_a_row_and_an_entry_that_no_event_calls_for_are_reported(
    context: WorkerContext, tamper: Change
) -> None:
    """Forged consistently: entry, chain and balance agree, but nothing was ever paid."""
    work(context, an_account()[4:])
    tamper(
        "INSERT INTO ledger_entries (user_id, delta, kind, balance_after, payment_id, reason)"
        " VALUES ('user_1', 500, 'grant', 1500, 'in_forged', 'x')"
    )
    tamper("UPDATE token_accounts SET balance = 1500")
    tamper("INSERT INTO customers (id) VALUES ('cus_forged')")
    found = {(table, columns_name(columns)) for table, _, columns, _ in told(audited(context)[1])}
    assert found == {
        ("customers", ""),
        ("ledger_entries", "sum for user_1"),
        ("ledger_entries", "payment_id"),
        ("token_accounts", "balance, sum of entries, last_grant"),
    }


def columns_name(columns: dict[str, Any]) -> str:
    """The columns of one finding."""
    return ", ".join(columns)


def test_debits_are_no_difference(context: WorkerContext, tamper: Change) -> None:
    """No event tells of them: the live ledger does."""
    work(context, an_account()[4:])
    tamper(
        "INSERT INTO ledger_entries (user_id, delta, kind, balance_after, reason, idempotency_key)"
        " VALUES ('user_1', -300, 'debit', 700, 'a chat', 'k')"
    )
    tamper("UPDATE token_accounts SET balance = 700")
    assert audited(context)[0].is_clean


def mark_applied(context: WorkerContext, delivery: Delivery) -> None:
    """Record an event as applied, without any effect of it."""
    outcomes = {delivery.event_id: inbox.Outcome(EventStatus.APPLIED)}
    with context.engine.begin() as connection:
        inbox.insert(connection, [delivery], outcomes, sources={delivery.event_id: "webhook"})


def test_an_event_that_can_no_longer_be_read_is_a_finding(context: WorkerContext) -> None:
    """The audit goes on, and says which event and why."""
    work(context, an_account())
    unreadable = a_delivery(an_event("customer.created", a_customer()))._replace(body=b"\0")
    mark_applied(context, unreadable)
    [(table, row, columns, events)] = told(audited(context)[1])
    assert (table, row, events) == ("webhook_events", unreadable.event_id, [unreadable.event_id])
    assert "can no longer be applied: ZstdError" in columns[WHOLE_ROW][1]


def test_a_culprit_does_not_take_its_batch_along(context: WorkerContext) -> None:
    """An event that the database refuses is reported alone."""
    work(context, an_account())
    lines = [a_line(9 * 10**17) for _ in range(9)]
    huge = an_invoice(lines, id="in_9", metadata={"user_id": "user_9"}, customer="cus_9")
    mark_applied(context, a_delivery(an_event("invoice.paid", huge, event_id="evt_huge")))
    [(table, row, columns, _)] = told(audited(context)[1])
    assert (table, row) == ("webhook_events", "evt_huge")
    assert "can no longer be applied: TypeError" in columns[WHOLE_ROW][1]


def test_events_without_effect_are_counted_and_no_difference(context: WorkerContext) -> None:
    """Ignored, failed and waiting ones changed nothing; one that waits again did."""
    broken = an_event("invoice.paid", {"id": "in_8", "object": "invoice", "currency": "usd"})
    unknown = an_event("invoice.something_new", {"id": "in_9"})
    work(context, [*an_account(), broken, unknown])
    with tampering(context.engine) as connection:
        connection.execute(
            text(
                "UPDATE webhook_events SET status = 'received', next_attempt_at = now()"
                " WHERE id = 'evt_refunded'"
            )
        )
    verdict, _ = audited(context)
    assert verdict.is_clean
    counts = verdict.counts
    assert (counts.applied, counts.waiting, counts.dead) == (5, 1, 0)


def test_a_drain_in_the_middle_is_neither_blocked_nor_seen(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit holds its whole snapshot while a worker changes the same customer's rows."""
    monkeypatch.setattr(module, "BATCH", 1)
    first, rest = an_account()[:2], an_account()[2:]
    work(context, first)
    drained: list[int] = []

    def work_beside(done: int, _total: int) -> None:
        if done == 1:
            drained.append(work(context, rest).applied)

    findings: list[Finding] = []
    verdict = audit(context.engine, findings.append, work_beside)
    assert drained == [3]
    assert balances(context.engine) == {"user_1": 6_000}
    assert told(findings) == []
    assert verdict.counts.applied == 2
    assert audited(context)[0].counts.applied == 5


def test_an_audit_leaves_nothing_behind(context: WorkerContext) -> None:
    """No table, no row, no setting, no lock: the same connection works on as before."""
    work(context, an_account())
    with context.engine.connect() as connection:
        before = connection.execute(_EVERYTHING).all()
    audited(context)
    audited(context)
    with context.engine.connect() as connection:
        assert connection.execute(_EVERYTHING).all() == before
        temporary = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'"
        assert connection.execute(text(temporary)).scalar_one() == 0
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "5s"
        assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == (
            "read committed"
        )
    assert drain(context, lambda: None).batches == 0


_EVERYTHING = text(
    "SELECT (SELECT json_agg(t) FROM token_accounts t)::text,"
    " (SELECT json_agg(l ORDER BY id) FROM ledger_entries l)::text,"
    " (SELECT json_agg(p ORDER BY id) FROM payments p)::text"
)


def test_the_command_says_that_all_is_well(
    context: WorkerContext, run: Callable[..., Result]
) -> None:
    """One line, what it cannot see, and exit 0; the progress is kept out of it."""
    work(context, an_account())
    result = run()
    assert result.exit_code == 0
    assert result.stdout.startswith("Clean: no difference; 5 events recomputed in ")
    [_, unseen] = result.stdout.splitlines()
    assert unseen == (
        "What was answered and never stored cannot be seen here; `reconcile` asks Stripe for it."
    )
    assert result.stderr == "comparing: 5 of 5 events\n"


def test_the_command_says_what_another_redis_may_have_lost(
    context: WorkerContext, run: Callable[..., Result]
) -> None:
    """The tables follow from what is stored; what never was is asked of Stripe."""
    for name in ("one", "another"):
        with context.engine.begin() as connection:
            redis_seen.notice(connection, name)
    assert "is still to be read (`reconcile`)" in run().stdout
    with context.engine.begin() as connection:
        reread = redis_seen.reread(connection)
        assert reread
        redis_seen.reread_done(connection, reread.at)
    assert f"took over at {reread.at:%Y-%m-%d %H:%M} UTC, and Stripe" in run().stdout
    said = json.loads(run("--json").stdout)
    assert (said["redis_changed_at"], said["is_reread"]) == (reread.at.isoformat(), True)


def test_the_command_names_what_differs(
    context: WorkerContext, tamper: Change, run: Callable[..., Result]
) -> None:
    """A line per difference, the events beneath, exit 1."""
    work(context, an_account())
    tamper("UPDATE subscriptions SET status = 'canceled', customer_id = NULL")
    result = run()
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:3] == [
        "subscriptions sub_1 status: is canceled, must be active",
        "subscriptions sub_1 customer_id: is nothing, must be cus_1",
        "    events: evt_began",
    ]
    assert result.stdout.splitlines()[3].startswith("2 differences; 5 events recomputed")


def test_of_many_events_the_newest_are_named_and_the_others_counted(
    context: WorkerContext, tamper: Change, run: Callable[..., Result]
) -> None:
    """Twelve reports of one customer: ten, and two more."""
    work(
        context,
        [
            an_event("customer.updated", a_customer(), event_id=f"evt_{n:02}", created=1_000 + n)
            for n in range(12)
        ],
    )
    tamper("UPDATE customers SET deleted_at = now()")
    named = ", ".join(f"evt_{n:02}" for n in range(11, 1, -1))
    assert f"    events: {named} and 2 more\n" in run().stdout


@pytest.mark.parametrize("is_tampered", [True, False])
def test_the_command_speaks_json(
    context: WorkerContext, tamper: Change, run: Callable[..., Result], *, is_tampered: bool
) -> None:
    """One object, with or without differences."""
    work(context, [*an_account(), an_event("payment_intent.succeeded", an_intent(id="pi_2"))])
    if is_tampered:
        tamper("UPDATE subscriptions SET status = 'canceled'")
    result = run("--json")
    found = json.loads(result.stdout)
    assert result.exit_code == (1 if is_tampered else 0)
    assert (found["clean"], found["events"]) == (not is_tampered, 6)
    expected = {
        "table": "subscriptions",
        "id": "sub_1",
        "column": "status",
        "live": "canceled",
        "recomputed": "active",
        "events": ["evt_began"],
        "events_total": 1,
    }
    assert found["differences"] == ([expected] if is_tampered else [])
