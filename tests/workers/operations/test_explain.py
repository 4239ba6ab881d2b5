"""A user's story on real engines: every figure and sentence by literal."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from domain.decode import DECODERS
from domain.money import money
from tests.pipeline import work
from tests.stripe_objects import (
    OLD,
    a_charge,
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
from workers.commands.explain import explain as command
from workers.context import WorkerContext
from workers.operations.wording import SENTENCES

DAY = 86_400
START = 1_700_000_000
TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"
PRO, PACK = f"1 {TIMES} Plan 2", f"1 {TIMES} Plan 4"
Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on the test database."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(command, arguments)

    return invoke


def happen(context: WorkerContext, *events: dict[str, Any]) -> None:
    """Apply events one by one, as they came."""
    for event in events:
        work(context, [event])


def reasons(run: Run, user: str = "user_1") -> list[tuple[int, str]]:
    """Every movement of the balance, in the order of the story."""
    found = json.loads(run("--user", user, "--json").stdout)
    entries = [entry for step in found["steps"] for entry in step["entries"]]
    return [(entry["delta"], entry["reason"]) for entry in entries]


def a_renewal() -> list[dict[str, Any]]:
    """A subscription, its paid invoice, and who paid it."""
    return [
        an_event("customer.subscription.created", a_subscription(), event_id="evt_1"),
        an_event("invoice.paid", an_invoice([a_line(2_900)]), event_id="evt_2", created=START + 10),
        an_event(
            "invoice_payment.paid",
            an_invoice_payment("in_1", "pi_1"),
            event_id="evt_3",
            created=START + 11,
        ),
    ]


def test_the_story_of_a_renewal_its_refund_and_a_debit(context: WorkerContext, run: Run) -> None:
    """The whole output: order, sentences, what changed, the sum."""
    refund = an_event(
        "refund.created", a_refund(amount=1_450), event_id="evt_4", created=START + DAY
    )
    happen(context, *a_renewal(), refund)
    with context.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO ledger_entries (user_id, delta, kind, balance_after, reason,"
                " idempotency_key, created_at) VALUES"
                " ('user_1', -300, 'debit', 4700, 'a chat', 'k', '2024-01-02 03:04:05+00')"
            )
        )
        connection.execute(text("UPDATE token_accounts SET balance = 4700"))
        ids = connection.execute(text("SELECT id FROM ledger_entries ORDER BY id")).scalars().all()
    result = run("--user", "user_1")
    assert result.exit_code == 0
    margin = " " * 21
    assert result.stdout == (
        "user user_1\n"
        f"2023-11-14 22:13:20  subscription sub_1 began and is active for {PRO}"
        "  [customer.subscription.created evt_1]\n"
        f"{margin}links customer cus_1 to this user\n"
        f"2023-11-14 22:13:30  invoice in_1 was paid: 29.00 usd for {PRO}  [invoice.paid evt_2]\n"
        f"{margin}+10,000 tokens: invoice in_1 paid 29.00 usd for {PRO};"
        f" balance 10,000  [grant {ids[0]}]\n"
        "2023-11-14 22:13:31  payment pi_1 paid 5.00 usd of invoice in_1"
        "  [invoice_payment.paid evt_3]\n"
        "2023-11-15 22:13:20  refund re_1 of 14.50 usd began and is succeeded"
        "  [refund.created evt_4]\n"
        f"{margin}{MINUS}5,000 tokens: half of invoice in_1 (29.00 usd) was refunded (re_1);"
        f" balance 5,000  [reversal {ids[1]}]\n"
        f"2024-01-02 03:04:05  {MINUS}300 tokens: spent: a chat;"
        f" balance 4,700  [debit {ids[2]}]\n"
        "the balance\n"
        "  3 entries sum to 4,700, and the balance is 4,700.\n"
    )


def test_an_entry_stands_with_the_event_that_caused_it(context: WorkerContext, run: Run) -> None:
    """A refund that overtook its invoice: the grant is posted net, with the last link's event."""
    refund = an_event("refund.created", a_refund(amount=1_450), event_id="evt_0", created=START + 5)
    happen(context, refund, a_renewal()[0], a_renewal()[2], a_renewal()[1])
    found = json.loads(run("--user", "user_1", "--json").stdout)
    [step] = [step for step in found["steps"] if step["entries"]]
    assert (step["event_id"], step["at"]) == ("evt_2", "2023-11-14T22:13:30+00:00")
    [(delta, reason)] = reasons(run)
    assert delta == 5_000
    assert reason == (
        f"invoice in_1 paid 29.00 usd for {PRO}; 5,000 of its 10,000 tokens, by what was"
        " known then of refunds, disputes and plans"
    )


def test_a_dispute_takes_and_gives_back(context: WorkerContext, run: Run) -> None:
    """Both movements name it."""
    dispute = a_dispute(amount=2_900)
    happen(
        context,
        *a_renewal(),
        an_event("charge.dispute.created", dispute, created=START + DAY),
        an_event("charge.dispute.funds_withdrawn", dispute, created=START + DAY),
        an_event("charge.dispute.funds_reinstated", dispute, created=START + 2 * DAY),
    )
    assert reasons(run)[1:] == [
        (-10_000, "all of invoice in_1 (29.00 usd) was disputed (dp_1)"),
        (10_000, "29.00 usd of invoice in_1 came back: the dispute gave it back (dp_1)"),
    ]


def test_a_failed_refund_comes_back(context: WorkerContext, run: Run) -> None:
    """With the refund's name and what became of it."""
    refund = a_refund(amount=725)
    happen(
        context,
        *a_renewal(),
        an_event("refund.created", refund, created=START + DAY),
        an_event("refund.failed", refund | {"status": "failed"}, created=START + 2 * DAY),
    )
    assert reasons(run)[1:] == [
        (-2_500, "7.25 usd of invoice in_1 (29.00 usd) was refunded (re_1)"),
        (2_500, "7.25 usd of invoice in_1 came back: the refund is failed (re_1)"),
    ]


def test_cumulative_refunds_of_old_versions_are_named_by_their_charge(
    context: WorkerContext, run: Run
) -> None:
    """The second report tells of both refunds."""
    session = a_session(customer="cus_1")
    charges = [a_charge(amount_refunded=amount) for amount in (125, 500)]
    happen(
        context,
        an_event("checkout.session.completed", session, api_version=OLD),
        an_event("charge.refunded", charges[0], api_version=OLD, created=START + DAY),
        an_event("charge.refunded", charges[1], api_version=OLD, created=START + 2 * DAY),
    )
    assert reasons(run) == [
        (1_000, f"checkout cs_1 paid 5.00 usd for {PACK}"),
        (-250, "1.25 usd of checkout cs_1 (5.00 usd) was refunded (ch_1)"),
        (-750, "all of checkout cs_1 (5.00 usd) was refunded (ch_1)"),
    ]


def test_a_payment_that_turns_out_to_be_someone_elses(context: WorkerContext, run: Run) -> None:
    """An earlier claim of the customer arrives late: both users' stories say it."""
    line, other = a_line(2_900), {"metadata": {"user_id": "user_0"}}
    late = an_event("customer.updated", a_customer(**other), event_id="evt_a", created=START - DAY)
    subscription = a_subscription(metadata={"user_id": "user_1"})
    happen(
        context,
        an_event("customer.subscription.created", subscription),
        an_event("invoice.paid", an_invoice([line]), created=START + 10),
        late,
    )
    assert reasons(run) == [
        (-10_000, "invoice in_1 turned out to belong to user user_0"),
        (10_000, f"invoice in_1 paid 29.00 usd for {PRO}"),
    ]
    assert reasons(run, "user_0") == [(10_000, f"invoice in_1 paid 29.00 usd for {PRO}")]
    story = run("--user", "user_1").stdout
    assert "customer cus_1 was claimed for this user too, but belongs to user_0" in story
    owner = json.loads(run("--user", "user_0", "--json").stdout)
    assert owner["loose_ends"] == ["customer cus_1 was also claimed for user_1"]
    changes = {step["event_id"]: step["changes"] for step in owner["steps"]}
    assert changes["evt_a"] == ["links customer cus_1 to this user"]


def test_money_that_waits_for_a_plan_is_pointed_out(context: WorkerContext, run: Run) -> None:
    """Paid, but worth nothing yet, and why."""
    line = a_line(1_500, "price_new", subscription=None)
    invoice = an_invoice([line], id="in_9", subscription=None, currency="kwd")
    happen(
        context,
        an_event("customer.created", a_customer()),
        an_event("invoice.paid", invoice, event_id="evt_9", created=START + 10),
    )
    found = json.loads(run("--user", "user_1", "--json").stdout)
    assert (found["sum"], found["balance"], found["agrees"]) == (0, 0, True)
    text_shown = found["steps"][1]["text"]
    assert text_shown == f"invoice in_9 was paid: 1.500 kwd for 1 {TIMES} something in no plan"
    [loose] = found["loose_ends"]
    assert loose.startswith("invoice in_9 (1.500 kwd, paid) is not worth its full tokens yet: ")
    assert "price_new" in loose


def test_what_failed_and_what_is_not_handled_is_told(context: WorkerContext, run: Run) -> None:
    """Such events changed nothing; the story says so."""
    broken = {"id": "in_8", "object": "invoice", "currency": "usd", "customer": "cus_1"}
    about = {"id": "src_1", "customer": "cus_1"}
    happen(
        context,
        an_event("customer.created", a_customer()),
        an_event("customer.source.created", about, created=START + 1),
        an_event("checkout.session.completed", a_session(), created=START + 2),
    )
    work(context, [an_event("invoice.paid", broken, event_id="evt_x", created=START + 3)])
    with context.engine.begin() as connection:
        connection.execute(
            text("UPDATE webhook_events SET customer_id = 'cus_1' WHERE id = 'evt_x'")
        )
    steps = json.loads(run("--user", "user_1", "--json").stdout)["steps"]
    assert [(step["event_status"], step["text"].split(":")[0]) for step in steps] == [
        ("applied", "customer cus_1 was made"),
        ("ignored", "about src_1; not handled"),
        ("applied", "checkout cs_1 was completed"),
        ("failed", "cannot be read"),
    ]
    assert steps[3]["changes"][0].startswith("is failed and will be tried again: DecodeError: ")
    told = run("--user", "user_1").stdout
    assert "src_1" not in told
    assert "1 event of a type that is not handled left out; --verbose shows it" in told
    assert "about src_1; not handled" in run("--user", "user_1", "--verbose").stdout


def test_a_balance_that_its_entries_do_not_explain_is_told(
    context: WorkerContext, run: Run
) -> None:
    """Exit 1, and where to look."""
    happen(context, an_event("checkout.session.completed", a_session()))
    with context.engine.begin() as connection:
        connection.execute(text("UPDATE token_accounts SET balance = 5"))
    result = run("--user", "user_1")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == (
        "  1 entry sums to 1,000, but the balance is 5: `audit` shows what is wrong."
    )
    assert json.loads(run("--user", "user_1", "--json").stdout)["agrees"] is False


def test_an_unknown_user_is_told_in_a_line(context: WorkerContext, run: Run) -> None:
    """On stderr, with exit 1."""
    happen(context, an_event("checkout.session.completed", a_session()))
    result = run("--user", "user_2")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: Nothing is known of user user_2: no event names them.\n"


def test_other_users_stay_out_of_the_story(context: WorkerContext, run: Run) -> None:
    """Two users with the same plan."""
    other = a_session(
        id="cs_other",
        payment_intent="pi_other",
        customer="cus_other",
        client_reference_id="user_other",
        metadata={"user_id": "user_other", "plan_id": "4"},
    )
    happen(
        context,
        an_event("checkout.session.completed", a_session()),
        an_event("payment_intent.succeeded", an_intent(), created=START + 1),
        an_event("checkout.session.completed", other),
    )
    story = run("--user", "user_1").stdout
    assert "payment pi_1 collected 5.00 usd" in story
    assert "_other" not in story


def test_every_handled_type_has_a_sentence() -> None:
    """A new decoder needs one line here as well."""
    assert SENTENCES.keys() == DECODERS.keys()


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (2_900, "usd", "29.00 usd"),
        (123_456_789, "eur", "1,234,567.89 eur"),
        (5, "usd", "0.05 usd"),
        (-1_450, "usd", "-14.50 usd"),
        (4_400, "jpy", "4,400 jpy"),
        (1_250, "kwd", "1.250 kwd"),
        (500, "isk", "5.00 isk"),
        (500, None, "5.00"),
    ],
)
def test_amounts_are_written_as_people_write_them(
    amount: int, currency: str | None, expected: str
) -> None:
    """With as many digits after the point as the currency has."""
    assert money(amount, currency) == expected
