"""`adjust` and `assign` on real engines: a person's word, kept and applied like an event."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from db.operations.replay import Selection
from db.queue.attempts import Request
from domain.decode import OWN_DECODERS
from domain.synthetic_events import by_hand
from tests.pipeline import balances, statuses, work
from tests.stripe_objects import a_line, a_session, an_event, an_invoice
from workers.commands.command_line import command_line
from workers.context import WorkerContext
from workers.operations.audit import Finding, audit
from workers.operations.replay import Replay
from workers.operations.wording import OWN_SENTENCES

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the test database."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(command_line, arguments)

    return invoke


def is_clean(context: WorkerContext) -> bool:
    """Whether an audit finds nothing."""
    found: list[Finding] = []
    return audit(context.engine, found.append, lambda _done, _total: None).is_clean


def entries(context: WorkerContext) -> list[tuple[str, int, str, str | None, str | None]]:
    """The ledger: user, tokens, kind, payment, event."""
    with context.engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT user_id, delta, kind, payment_id, event_id FROM ledger_entries ORDER BY id"
            )
        )
        return [tuple(row) for row in rows]


def a_package(**changes: Any) -> dict[str, Any]:
    """A paid package of user_1."""
    return an_event("checkout.session.completed", a_session(**changes), event_id="evt_package")


def test_an_adjustment_is_an_event_with_one_entry(context: WorkerContext, run: Run) -> None:
    """Who and why are in the ledger; replayed it changes nothing; the audit knows it."""
    work(context, [a_package()])
    result = run(
        *("adjust", "--user", "user_1", "--amount", "-250", "--id", "7"),
        *("--reason", "counted twice", "--by", "Ada"),
    )
    assert result.exit_code == 0, result.output
    assert "user_1: -250 tokens by Ada (counted twice); the balance is 750." in result.output
    assert entries(context)[1] == ("user_1", -250, "adjustment", None, "manual_7")
    assert statuses(context.engine)["manual_7"] == "applied"
    assert is_clean(context)
    replay = Replay(context.engine)
    done = replay.run(Selection(event_ids=("manual_7",)), Request("me"), lambda _d, _t: None)
    assert (done.entries, done.failed) == (0, 0)
    assert balances(context.engine) == {"user_1": 750}


def test_the_same_adjustment_twice_is_done_once(context: WorkerContext, run: Run) -> None:
    """A script that is not sure may repeat itself."""
    work(context, [a_package()])
    asked = ("adjust", "--user", "user_1", "--amount", "5", "--reason", "r", "--id", "7")
    assert run(*asked).exit_code == 0
    again = run(*asked)
    assert again.exit_code == 1
    assert "manual_7 was made before. Nothing was changed." in again.output
    assert balances(context.engine) == {"user_1": 1_005}


def test_an_adjustment_that_the_ledger_lacks_is_a_difference(
    context: WorkerContext, run: Run
) -> None:
    """The audit recomputes it like any event."""
    work(context, [a_package()])
    run("adjust", "--user", "user_1", "--amount", "5", "--reason", "r", "--id", "7")
    with context.engine.begin() as connection:
        connection.execute(text("ALTER TABLE ledger_entries DISABLE TRIGGER USER"))
        connection.execute(text("DELETE FROM ledger_entries WHERE event_id = 'manual_7'"))
        connection.execute(text("ALTER TABLE ledger_entries ENABLE TRIGGER USER"))
    found: list[Finding] = []
    audit(context.engine, found.append, lambda _done, _total: None)
    assert ("ledger_entries", "manual_7", {"sum for user_1": (0, 5)}) in [
        (each.difference.table, each.difference.id, each.difference.columns) for each in found
    ]


def test_a_debt_must_be_allowed(context: WorkerContext, run: Run) -> None:
    """Nothing is left behind by the refusal, not even the event."""
    work(context, [a_package()])
    asked = ("adjust", "--user", "user_1", "--amount", "-1001", "--reason", "r")
    refused = run(*asked)
    assert refused.exit_code == 1
    assert "would leave a debt of 1. Nothing was changed" in refused.output
    assert list(statuses(context.engine)) == ["evt_package"]
    assert balances(context.engine) == {"user_1": 1_000}
    assert run(*asked, "--allow-debt").exit_code == 0
    assert balances(context.engine) == {"user_1": -1}
    less_debt = run("adjust", "--user", "user_1", "--amount", "1", "--reason", "r")
    assert less_debt.exit_code == 0


def test_an_unknown_user_must_be_meant(context: WorkerContext, run: Run) -> None:
    """A typing error would make an account that nobody looks at."""
    asked = ("adjust", "--user", "usr_1", "--amount", "5", "--reason", "r")
    refused = run(*asked)
    assert refused.exit_code == 1
    assert "Nothing is known of user usr_1" in refused.output
    assert statuses(context.engine) == {}
    assert run(*asked, "--yes").exit_code == 0
    assert balances(context.engine) == {"usr_1": 5}
    assert run(*asked).exit_code == 0


@pytest.mark.parametrize(
    "asked",
    [
        ("adjust", "--user", "u", "--amount", "0", "--reason", "r"),
        ("adjust", "--user", "u", "--amount", "5"),
        ("adjust", "--user", "u", "--amount", "5", "--reason", " "),
        ("adjust", "--user", "", "--amount", "5", "--reason", "r"),
        ("assign", "--payment", "cs_1"),
        ("assign", "--payment", "cs_1", "--user", "u", "--plan", "4"),
    ],
)
def test_what_says_too_little_is_refused(run: Run, asked: tuple[str, ...]) -> None:
    """Exit 2, in words."""
    assert run(*asked).exit_code == 2


def test_an_assigned_user_gets_the_tokens(context: WorkerContext, run: Run) -> None:
    """Found by any object of the payment; the newest word wins over every claim."""
    nobodys = a_package(client_reference_id=None, metadata={"plan_id": "4"}, customer=None)
    work(context, [nobodys])
    first = run("assign", "--payment", "pi_1", "--user", "user_7", "--by", "Ada")
    assert first.exit_code == 0, first.output
    assert "cs_1 is assigned to user user_7 by Ada." in first.output
    assert "before: paid, no user, plan 4, 1,000 tokens" in first.output
    assert "posted: +1,000 tokens, user user_7" in first.output
    assert balances(context.engine) == {"user_7": 1_000}
    run("assign", "--payment", "cs_1", "--user", "user_8")
    assert balances(context.engine) == {"user_8": 1_000}
    work(context, [an_event("checkout.session.completed", a_session())])
    assert balances(context.engine) == {"user_8": 1_000}
    assert is_clean(context)


def test_an_assigned_plan_values_a_package_as_often_as_it_paid_the_price(
    context: WorkerContext, run: Run
) -> None:
    """Three packages at 5.00 in one session that named none."""
    session = a_session(metadata={}, amount_subtotal=1_500, amount_total=1_500)
    work(context, [an_event("checkout.session.completed", session)])
    assert balances(context.engine) == {}
    assert run("assign", "--payment", "cs_1", "--plan", "4").exit_code == 0
    assert balances(context.engine) == {"user_1": 3_000}
    assert is_clean(context)


def test_an_assigned_plan_values_only_lines_that_no_price_knows(
    context: WorkerContext, run: Run
) -> None:
    """One line by its price, one by a person's word."""
    lines = [a_line(2_900), a_line(450, "price_of_nothing", subscription=None)]
    work(context, [an_event("invoice.paid", an_invoice(lines, metadata={"user_id": "user_1"}))])
    assert balances(context.engine) == {"user_1": 10_000}
    assert run("assign", "--payment", "in_1", "--plan", "1").exit_code == 0
    assert balances(context.engine) == {"user_1": 11_500}
    assert is_clean(context)


def test_an_unknown_payment_or_plan_is_refused(context: WorkerContext, run: Run) -> None:
    """In words, and nothing is stored."""
    work(context, [a_package()])
    unknown = run("assign", "--payment", "cs_9", "--user", "user_1")
    assert (unknown.exit_code, "There is no payment cs_9" in unknown.output) == (1, True)
    no_plan = run("assign", "--payment", "cs_1", "--plan", "99")
    assert (no_plan.exit_code, "There is no plan 99" in no_plan.output) == (1, True)
    assert list(statuses(context.engine)) == ["evt_package"]


def test_explain_tells_who_and_why(context: WorkerContext, run: Run) -> None:
    """Both kinds of a person's word are part of the story."""
    work(context, [a_package(client_reference_id=None, metadata={}, customer=None)])
    run("assign", "--payment", "cs_1", "--user", "user_7", "--by", "Ada", "--reason", "mailed us")
    run("assign", "--payment", "cs_1", "--plan", "4", "--by", "Ada")
    run("adjust", "--user", "user_7", "--amount", "20", "--by", "Bo", "--reason", "sorry")
    story = run("explain", "--user", "user_7").output
    assert "Ada gave cs_1 to user user_7: mailed us" in story
    assert "Ada gave cs_1 to plan 4: no reason was given" in story
    assert "Bo corrected the balance by +20 tokens: sorry" in story
    assert "checkout cs_1 paid 5.00 usd for Plan 4, as a person said" in story
    assert "+20 tokens: sorry (by Bo); balance 1,020" in story


def test_every_word_of_a_person_has_a_sentence() -> None:
    """A new kind needs one line there as well."""
    assert OWN_SENTENCES.keys() == OWN_DECODERS.keys()


def test_an_event_of_another_name_is_no_persons_word(context: WorkerContext) -> None:
    """Were one to slip in from outside, it would change nothing."""
    work(context, [a_package()])
    forged = by_hand.adjusted("1", 1, user_id="user_1", amount=5, by="x", reason="y")
    work(context, [forged | {"id": "evt_forged"}])
    assert statuses(context.engine)["evt_forged"] == "ignored"
    assert balances(context.engine) == {"user_1": 1_000}
