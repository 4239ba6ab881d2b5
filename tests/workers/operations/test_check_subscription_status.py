"""`check_subscription_status`: both directions, each difference with its money, and the repair."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tests.pipeline import balances, statuses, work
from tests.stripe_objects import a_customer, a_line, a_subscription, an_event, an_invoice
from tests.stripe_server import StripeServer, serve
from workers.commands.check_subscription_status import check_subscription_status
from workers.context import WorkerContext
from workers.operations import subscription_check as module
from workers.pipeline.apply import apply

Run = Callable[..., Result]
LIST = "/v1/subscriptions"


def a_priced(**changes: Any) -> dict[str, Any]:
    """A subscription as Stripe lists it: with whole prices."""
    found = a_subscription(latest_invoice=None, livemode=False, **changes)
    for item in found["items"]["data"]:
        recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
        item["price"] |= {"unit_amount": 2_900, "currency": "usd", "recurring": recurring}
    return found


@dataclass
class There:
    """What Stripe has: subscriptions by id, invoices and customers."""

    server: StripeServer
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    page: int = 100
    listed: list[Mapping[str, str]] = field(default_factory=list)

    def has(self, *found: Mapping[str, Any]) -> None:
        """Stripe has these."""
        for each in found:
            kind = {"subscription": "subscriptions", "invoice": "invoices"}
            path = f"/v1/{kind.get(each['object'], 'customers')}/{each['id']}"
            self.server.answers[path] = dict(each)
            if each["object"] == "subscription":
                self.subscriptions[each["id"]] = dict(each)

    def __call__(self, query: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        """A page of the list, newest first."""
        self.listed.append(query)
        found = sorted(
            self.subscriptions.values(),
            key=lambda each: (each["created"], each["id"]),
            reverse=True,
        )
        if after := query.get("starting_after"):
            found = found[[each["id"] for each in found].index(after) + 1 :]
        data = found[: self.page]
        return 200, {"object": "list", "data": data, "has_more": len(found) > len(data)}


@pytest.fixture(scope="module")
def server() -> Iterator[StripeServer]:
    """One server for the module."""
    with serve() as found:
        yield found


@pytest.fixture
def there(server: StripeServer) -> There:
    """Stripe, knowing nothing."""
    server.answers.clear()
    server.asked.clear()
    server.status = 200
    found = There(server)
    server.answers[LIST] = found
    return found


@pytest.fixture
def run(database_url: str, there: There, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on the test database and the server above."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_of_the_tests")
    monkeypatch.setenv("STRIPE_API_BASE", there.server.url)
    monkeypatch.setenv("BILLING_DATA", "/nowhere")
    monkeypatch.setattr("workers.operations.subscription_check.time.sleep", lambda _: None)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(check_subscription_status, arguments)

    return invoke


def status_of(context: WorkerContext, subscription_id: str = "sub_1") -> str | None:
    """What our table says."""
    with context.engine.connect() as connection:
        statement = text("SELECT status FROM subscriptions WHERE id = :id")
        found: str | None = connection.execute(statement, {"id": subscription_id}).scalar()
        return found


def told(result: Result) -> list[dict[str, Any]]:
    """The mismatches of a run with --json."""
    found: list[dict[str, Any]] = json.loads(result.stdout)["subscriptions"]
    return found


def differences(result: Result) -> list[tuple[str, str | None, str | None]]:
    """The differences of a run with --json."""
    return [
        (each["what"], each["here"], each["there"])
        for mismatch in told(result)
        for each in mismatch["differences"]
    ]


def updated(found: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The event by which we know a subscription."""
    return an_event("customer.subscription.updated", {**found, **changes}, created=1_700_000_000)


def test_what_agrees_is_no_difference(run: Run, there: There, context: WorkerContext) -> None:
    """Nothing is stored, and the exit status is 0."""
    there.has(a_priced())
    work(context, [updated(a_priced())])
    result = run()
    assert (result.exit_code, result.output) == (0, "1 subscription compared; no difference.\n")
    assert len(statuses(context.engine)) == 1


def test_a_missing_subscription_is_told_with_its_money_and_comes_in(
    run: Run, there: There, context: WorkerContext
) -> None:
    """It goes through the same pipeline as an event of the webhook."""
    there.has(a_priced())
    result = run()
    assert result.exit_code == 0, result.output
    for word in ("sub_1", "user_1", "29.00 usd a month", "missing here", "active", "repaired"):
        assert word in result.output
    assert status_of(context) == "active"
    assert [name[:13] for name in statuses(context.engine)] == ["fetched_sub_1"]
    assert run().output.endswith("no difference.\n")


def test_a_dry_run_changes_nothing_and_exits_1(
    run: Run, there: There, context: WorkerContext
) -> None:
    """The same differences, told only."""
    there.has(a_priced())
    result = run("--dry-run")
    assert result.exit_code == 1
    assert "1 differ; nothing was changed." in result.output
    assert statuses(context.engine) == {}


@pytest.mark.parametrize(
    ("changes", "what", "here", "at_stripe"),
    [
        ({"status": "past_due"}, "status", "active", "past_due"),
        ({"cancel_at_period_end": True}, "cancel at period end", "no", "yes"),
        ({"cancel_at": 1_702_592_000}, "cancel at", None, "2023-12-14 22:13:20"),
        ({"canceled_at": 1_702_592_000}, "canceled at", None, "2023-12-14 22:13:20"),
        ({"trial_end": 1_702_592_000}, "trial end", None, "2023-12-14 22:13:20"),
        ({"metadata": {"user_id": "user_2"}}, "user", "user_1", "user_2"),
    ],
)
def test_each_difference_is_told_and_repaired(  # noqa: PLR0917 - a row of the table above.
    run: Run,
    there: There,
    context: WorkerContext,
    changes: dict[str, Any],
    what: str,
    here: str | None,
    at_stripe: str,
) -> None:
    """Whatever changed while nothing reached us."""
    work(context, [updated(a_priced())])
    there.has(a_priced(**changes))
    assert differences(run("--dry-run", "--json")) == [(what, here, at_stripe)]
    assert differences(run("--json")) == [(what, here, at_stripe)]
    assert run("--json").exit_code == 0


def test_another_price_quantity_or_period_is_a_difference(
    run: Run, there: There, context: WorkerContext
) -> None:
    """Items are compared by what they are, in any order."""
    work(context, [updated(a_priced())])
    found = a_priced()
    item = found["items"]["data"][0]
    item |= {"quantity": 3, "current_period_end": 1_705_270_400}
    there.has(found)
    result = run("--json")
    assert differences(result) == [
        ("items", "1 of price_pro_usd", "3 of price_pro_usd"),
        (
            "period",
            "2023-11-14 22:13:20 to 2023-12-14 22:13:20",
            "2023-11-14 22:13:20 to 2024-01-14 22:13:20",
        ),
    ]
    assert told(result)[0]["money"] == [
        {"amount_minor": 8_700, "currency": "usd", "interval": "month"}
    ]
    assert run().exit_code == 0


def test_an_end_that_was_missed_is_repaired(run: Run, there: There, context: WorkerContext) -> None:
    """Stripe lists ended ones too."""
    work(context, [updated(a_priced())])
    there.has(a_priced(status="canceled", canceled_at=1_700_000_500))
    assert run().exit_code == 0
    assert status_of(context) == "canceled"
    assert {query["status"] for query in there.listed} == {"all"}


def test_one_that_stripe_does_not_know_is_told_and_left(
    run: Run, there: There, context: WorkerContext
) -> None:
    """Nothing is invented; an ended one of ours is no difference."""
    work(context, [updated(a_priced()), updated(a_priced(id="sub_2", status="canceled"))])
    result = run("--json")
    assert result.exit_code == 1
    (found,) = told(result)
    assert (found["id"], found["is_left"]) == ("sub_1", True)
    assert found["money"] == [{"amount_minor": 2_900, "currency": "usd", "interval": "month"}]
    assert status_of(context) == "active"
    assert "left" in run().output
    assert there.server.asked.count("/v1/subscriptions/sub_1") == 2


def test_simulated_ones_are_left_out_in_one_line(
    run: Run, there: There, context: WorkerContext
) -> None:
    """No Stripe knows what `simulate` made up, by its ids, or by its users before ids said so."""
    marked, older = "sub_1simulatedAb3", "sub_1Ab4"
    named = {"metadata": {"user_id": "sim-0123abcd-00042"}}
    work(context, [updated(a_priced(id=marked)), updated(a_priced(id=older, **named))])
    result = run()
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        ["2 simulated subscriptions left out.", "0 subscriptions compared; no difference."],
    )
    assert json.loads(run("--json").stdout)["simulated"] == 2
    assert not [path for path in there.server.asked if path != LIST]


def test_one_that_the_list_did_not_show_is_asked_for(
    run: Run, there: There, context: WorkerContext
) -> None:
    """Such as one made meanwhile, or one of a test clock."""
    work(context, [updated(a_priced())])
    there.has(a_priced(status="past_due"))
    there.subscriptions.clear()
    assert differences(run("--json")) == [("status", "active", "past_due")]
    assert status_of(context) == "past_due"


def test_paid_and_got_nothing(run: Run, there: There, context: WorkerContext) -> None:
    """The latest invoice is paid at Stripe: it comes in, with its tokens."""
    invoice = an_invoice([a_line(2_900)], metadata={"user_id": "user_1"})
    work(context, [updated(a_priced())])
    there.has(a_priced() | {"latest_invoice": invoice}, invoice)
    assert differences(run("--json", "--dry-run")) == [("invoice in_1", "unknown", "paid")]
    work(context, [an_event("invoice.payment_failed", invoice | {"status": "open"})])
    assert differences(run("--json", "--dry-run")) == [("invoice in_1", "not paid", "paid")]
    assert run().exit_code == 0
    assert balances(context.engine) == {"user_1": 10_000}
    assert run().output.endswith("no difference.\n")
    assert balances(context.engine) == {"user_1": 10_000}


def test_all_lines_of_a_long_invoice_count(run: Run, there: There, context: WorkerContext) -> None:
    """Its list is cut, so the rest is asked for."""
    invoice = an_invoice([a_line(2_900)], metadata={"user_id": "user_1"}, amount_paid=5_800)
    invoice["lines"]["has_more"] = True
    lines = {"object": "list", "data": [a_line(2_900), a_line(2_900)], "has_more": False}
    there.server.answers["/v1/invoices/in_1/lines"] = lines
    there.has(a_priced() | {"latest_invoice": invoice}, invoice)
    assert run().exit_code == 0
    assert balances(context.engine) == {"user_1": 20_000}


def test_an_invoice_that_is_paid_here_is_no_difference(
    run: Run, there: There, context: WorkerContext
) -> None:
    """Also a free one, and one that Stripe says is open."""
    invoice = an_invoice([a_line(0)], metadata={"user_id": "user_1"})
    work(context, [updated(a_priced()), an_event("invoice.paid", invoice)])
    there.has(a_priced() | {"latest_invoice": invoice})
    assert run().exit_code == 0
    there.has(a_priced() | {"latest_invoice": invoice | {"id": "in_2", "status": "open"}})
    assert run().output.endswith("no difference.\n")


def test_a_user_that_only_the_customer_names_is_linked(
    run: Run, there: There, context: WorkerContext
) -> None:
    """Nobody saw the subscription; Stripe is asked whose customer it is."""
    nameless = a_priced(metadata={})
    work(context, [updated(nameless)])
    there.has(nameless, a_customer())
    assert differences(run("--json")) == [("user", None, None)]
    with context.engine.connect() as connection:
        assert connection.execute(text("SELECT user_id FROM customers")).scalar() == "user_1"
    assert run().output.endswith("no difference.\n")


def test_one_without_a_user_is_left_and_stored_only_once(
    run: Run, there: There, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can say whose it is: a person must."""
    seconds = count(1_800_000_000)
    monkeypatch.setattr(module, "answer_time", lambda *_, **__: next(seconds))
    nameless = a_priced(metadata={})
    there.has(nameless, a_customer(metadata={}))
    assert run().exit_code == 1
    assert run().exit_code == 1
    assert len(statuses(context.engine)) == 1


def test_something_else_of_the_account_is_no_difference(
    run: Run, there: There, context: WorkerContext
) -> None:
    """Neither a user nor a plan of ours: another product of the same account."""
    found = a_priced(metadata={})
    found["items"]["data"][0]["price"]["id"] = "price_of_another_shop"
    work(context, [updated(found)])
    there.has(found)
    assert run().exit_code == 0


def test_a_user_without_a_plan_is_told(run: Run, there: There, context: WorkerContext) -> None:
    """The price is in no catalogue: only a person can bind it."""
    found = a_priced(metadata={"user_id": "user_1"})
    found["items"]["data"][0]["price"]["id"] = "price_unbound"
    work(context, [updated(found)])
    there.has(found)
    result = run("--json")
    assert result.exit_code == 1
    assert differences(result) == [("plan", None, "1 of price_unbound")]


def test_every_page_and_window_is_compared(
    run: Run, there: There, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows of a few ids find the same as one; the edges may share a second."""
    monkeypatch.setattr(module, "WINDOW", 4)
    monkeypatch.setattr(module, "BATCH", 3)
    there.page = 3
    ours = [a_priced(id=f"sub_{n:02}", created=1_700_000_000 + n // 4) for n in range(24)]
    work(context, [updated(each) for each in ours])
    there.has(*[each for each in ours if each["id"] not in {"sub_05", "sub_13", "sub_23"}])
    result = run("--json", "--dry-run")
    assert [each["id"] for each in told(result)] == ["sub_23", "sub_13", "sub_05"]
    assert [each["differences"][0]["what"] for each in told(result)] == ["unknown at Stripe"] * 3
    asked = [path for path in there.server.asked if path != LIST]
    assert len(asked) == 3


def test_an_event_on_its_way_is_no_difference(
    run: Run, there: There, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It arrives while the check waits, and nothing is told."""
    work(context, [updated(a_priced())])
    there.has(a_priced(status="past_due"))
    late = updated(a_priced(), status="past_due") | {"created": 1_700_000_100}
    monkeypatch.setattr(
        "workers.operations.subscription_check.time.sleep", lambda _: work(context, [late])
    )
    result = run("--dry-run")
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        0,
        "1 subscription compared; no difference.",
    )


def test_a_change_during_the_repair_is_no_difference(
    run: Run, there: There, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe's list was read before a live event; what Stripe says now is asked for once more."""
    work(context, [updated(a_priced())])
    there.has(a_priced(status="past_due"))
    there.server.answers[f"{LIST}/sub_1"] = a_priced(status="unpaid")

    def with_event(*arguments: Any) -> Any:
        applied = apply(*arguments)
        late = updated(a_priced(), status="unpaid") | {"created": 4_000_000_000}
        work(context, [late])
        return applied

    monkeypatch.setattr("workers.operations.subscription_check.apply", with_event)
    assert run().exit_code == 0
    assert status_of(context) == "unpaid"


def test_a_clock_that_was_moved_ahead_does_not_keep_from_repairing(
    run: Run, there: There, context: WorkerContext
) -> None:
    """Events of a test clock come from the future."""
    work(context, [updated(a_priced()) | {"created": 4_000_000_000}])
    there.has(a_priced(status="past_due"))
    assert run().exit_code == 0
    assert status_of(context) == "past_due"


def test_a_clock_of_ours_that_is_fast_hides_nothing_that_happens_later(
    run: Run, there: There, context: WorkerContext
) -> None:
    """A repair is dated by Stripe's clock, as its events are."""
    there.server.ahead_seconds = -7_000
    there_now = int(time.time()) - 7_000
    work(context, [updated(a_priced()) | {"created": there_now - 60}])
    there.has(a_priced(status="past_due"))
    assert run().exit_code == 0
    there.server.ahead_seconds = 0
    assert status_of(context) == "past_due"
    work(context, [updated(a_priced()) | {"created": there_now + 30}])
    assert status_of(context) == "active"


def test_what_cannot_be_repaired_is_left(run: Run, there: There, context: WorkerContext) -> None:
    """An end is never undone; the exit status says so."""
    ended = an_event("customer.subscription.deleted", a_priced(status="canceled"))
    work(context, [ended])
    there.has(a_priced())
    result = run()
    assert result.exit_code == 1
    assert "0 repaired, 1 left." in result.output


def test_the_other_mode_is_refused(run: Run, there: There, context: WorkerContext) -> None:
    """Nothing of it comes in."""
    there.has(a_priced() | {"livemode": True})
    result = run()
    assert result.exit_code == 1
    assert "is a live object and STRIPE_TEST_MODE is True" in result.output
    assert statuses(context.engine) == {}


def test_stripe_away_is_told_without_a_trace(
    run: Run, there: There, context: WorkerContext
) -> None:
    """With how far it came; as JSON too."""
    there.server.status = 500
    result = run()
    assert result.exit_code == 1
    assert "Stripe could not be asked: APIError, HTTP 500" in result.output
    assert "0 subscriptions compared" in result.output
    parsed = json.loads(run("--json").stdout)
    assert parsed["problem"].startswith("Stripe could not be asked")
    assert statuses(context.engine) == {}


def test_a_pipe_gets_an_aligned_table(run: Run, there: There, context: WorkerContext) -> None:
    """Without colours; a subscription is named once."""
    work(context, [updated(a_priced())])
    there.has(a_priced(status="past_due", cancel_at=1_702_592_000), a_priced(id="sub_2"))
    lines = run("--dry-run").stdout.splitlines()
    assert "\x1b" not in "".join(lines)
    column = lines[0].index("what")
    assert [line[column:].split("  ")[0] for line in lines[1:4]] == [
        "missing here",
        "status",
        "cancel at",
    ]
    assert sum("sub_1" in line for line in lines) == 1


@pytest.fixture
def doubled(there: There, context: WorkerContext) -> None:
    """A user with two live full plans, on which we and Stripe agree."""
    for name in ("sub_1", "sub_2"):
        found = a_priced(id=name)
        there.has(found)
        work(context, [updated(found)])


@pytest.mark.usefixtures("doubled")
def test_two_plans_of_one_user_are_told_and_exit_1(run: Run) -> None:
    """Both sides agree on them, and yet somebody pays twice."""
    for arguments in ((), ("--dry-run",)):
        result = run(*arguments)
        assert result.exit_code == 1
        assert result.output == (
            "user_1 pays for 2 full plans at once: sub_1, sub_2."
            " Cancel what is not wanted at Stripe, and refund what was paid twice.\n"
            "2 subscriptions compared; no difference.\n"
        )


@pytest.mark.usefixtures("doubled")
def test_two_plans_of_one_user_are_told_to_programs(run: Run) -> None:
    """With --json, beside the differences."""
    told_all = json.loads(run("--json").stdout)
    assert told_all["second_plans"] == [
        {"user_id": "user_1", "subscription_ids": ["sub_1", "sub_2"]}
    ]
    assert told_all["subscriptions"] == []
