"""`doctor` on real engines: what is well, what is not, and what to do."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis
from click.testing import CliRunner, Result
from sqlalchemy import text

from db.operations import health
from db.questions import stripe_turn
from db.questions.questions import Kind
from db.queue.formats import Readers
from db.queue.heartbeat import Heartbeat
from db.queue.inbox import FOR_A_NEWER_WORKER
from domain.decode import DECODERS
from tests.ingest.builders import ENVIRONMENT
from tests.pipeline import put, work
from tests.second_plan import a_second_plan
from tests.stripe_objects import a_customer, a_session, a_subscription, an_event
from tests.stripe_server import StripeServer, serve
from tests.workers.asking import want
from workers.commands.doctor import doctor
from workers.context import WorkerContext
from workers.pipeline.drain import drain

ENDPOINTS = "/v1/webhook_endpoints"
ACCOUNT = "/v1/account"


@pytest.fixture(scope="module")
def stripe() -> Iterator[StripeServer]:
    """A server in Stripe's place."""
    with serve() as found:
        yield found


@pytest.fixture
def context(
    context: WorkerContext, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> WorkerContext:
    """An installation where everything has just been swept, on a disk that is waited for."""
    Heartbeat(redis_client).beat()
    ask = health.ask
    # The engine of the tests does not wait for its disk, which is what a test below is about.
    monkeypatch.setattr(
        "db.operations.health.ask",
        lambda connection: replace(ask(connection), fsync="on", synchronous_commit="on"),
    )
    return context


@pytest.fixture
def run(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Result, dict[str, list[dict[str, str]]]]]:
    """Runs the command with some variables; answers with the result and findings by subject."""

    def call(**variables: str) -> tuple[Result, dict[str, list[dict[str, str]]]]:
        urls = {"DATABASE_URL": database_url.replace("+psycopg2", ""), "REDIS_URL": redis_url}
        for name, value in (ENVIRONMENT | urls | variables).items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(doctor, ["--json"])
        findings: dict[str, list[dict[str, str]]] = {}
        for line in result.stdout.splitlines():
            finding = json.loads(line)
            findings.setdefault(finding["subject"], []).append(finding)
        return result, findings

    return call


Run = Callable[..., tuple[Result, dict[str, list[dict[str, str]]]]]


def test_a_well_installation_passes(context: WorkerContext, run: Run) -> None:
    """Warnings are no failure: without a key nothing can be asked of Stripe."""
    del context
    result, findings = run()
    assert result.exit_code == 0, result.output
    levels = {subject: found[0]["level"] for subject, found in findings.items()}
    assert levels["redis"] == levels["queue"] == levels["scheduler"] == "ok"
    assert levels["catalogue"] == "ok"
    assert levels["keys"] == "warn"


def test_a_database_that_may_lose_commits_fails(
    context: WorkerContext, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine of the tests runs without fsync, and doctor sees it."""
    del context
    monkeypatch.undo()
    result, findings = run()
    assert result.exit_code == 1
    assert {finding["level"] for finding in findings["database"]} == {"ok", "fail"}


def test_a_silent_scheduler_fails(redis_client: redis.Redis, run: Run) -> None:
    """Nobody sweeps: retries and lost wake-ups would wait for ever."""
    redis_client.set("billing:heartbeat", int(time.time()) - 300)
    result, findings = run()
    assert result.exit_code == 1
    assert findings["scheduler"][0]["level"] == "fail"
    assert "start `beat`" in findings["scheduler"][0]["cure"]


def test_failed_events_and_unlinked_money_are_told(context: WorkerContext, run: Run) -> None:
    """Each with the command that shows it."""
    put(context, [an_event("invoice.paid", {"id": "in_1", "object": "invoice"})])
    drain(context, lambda: None)
    _, findings = run()
    assert findings["events"][0]["says"] == "1 failed so far"
    assert "events --status failed" in findings["events"][0]["cure"]


def test_what_the_workers_read_is_told(redis_client: redis.Redis, run: Run) -> None:
    """And that the setting holds bodies back."""
    Readers(redis_client).announce("one")
    Readers(redis_client).announce("two")
    _, findings = run(BODY_DICTIONARY="0")
    (found,) = findings["releases"]
    assert found["level"] == "ok"
    assert found["says"].startswith("2 worker(s) read dictionary 32768, BODY_DICTIONARY=0 has")
    Readers(redis_client).announce("old", 1)
    _, findings = run()
    assert "not all of them 32768: bodies are written with the older" in found_of(findings)


def found_of(findings: dict[str, list[dict[str, str]]]) -> str:
    """What is said of releases."""
    return "; ".join(finding["says"] for finding in findings["releases"])


def test_events_of_a_newer_release_are_told(context: WorkerContext, run: Run) -> None:
    """They wait, and the cure is a worker that reads them."""
    put(context, [an_event("product.created", {"id": "prod_1"})])
    drain(context, lambda: None)
    with context.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE webhook_events SET status = 'received', next_attempt_at = now(), note = :n"
            ),
            {"n": FOR_A_NEWER_WORKER},
        )
    _, findings = run()
    (found,) = findings["releases"]
    assert found["says"] == "1 events wait for a worker of a newer release, which can read them"
    assert "start a worker of the release that wrote them" in found["cure"]


def test_what_waits_for_stripe_is_told(context: WorkerContext, run: Run) -> None:
    """How much, since when, what was given up and why, and that Stripe is silent."""
    want(context, Kind.SUBSCRIPTION, "sub_1", age_seconds=7_200)
    want(context, Kind.PAYMENT_OF, "pi_1", age_seconds=90_000)
    _, findings = run()
    (found,) = findings["questions"]
    assert found["level"] == "warn"
    assert found["says"].startswith("2 wait to be asked of Stripe, the oldest without any answer")
    assert "STRIPE_SECRET_KEY" in found["cure"]
    with context.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO questions (kind, subject_id, asks, last_asked_at, next_ask_at,"
                " last_answer, given_up_at)"
                " VALUES ('payment_of', 'pi_1', 8, now(), now(), 'nothing of it', now())"
            )
        )
        stripe_turn.take(connection, "a test", lease_seconds=1)
        stripe_turn.failed(connection, pause_seconds=5)
        stripe_turn.failed(connection, pause_seconds=5)
    _, findings = run()
    waiting, given_up, silent = (each["says"] for each in findings["questions"])
    assert waiting.startswith("1 wait to be asked of Stripe, the oldest without any answer for 72")
    assert given_up == "1 given up, the first is pi_1: nothing of it"
    assert silent == "Stripe has not answered for 0 s (2 times in a row)"


def test_a_database_that_does_not_answer_is_one_line(context: WorkerContext, run: Run) -> None:
    """No trace, and everything else is looked at all the same."""
    del context
    result, findings = run(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert result.exit_code == 1
    assert findings["database"][0]["says"].startswith("does not answer")
    assert findings["redis"][0]["level"] == "ok"


def test_an_endpoint_that_lacks_events_is_told(
    context: WorkerContext, run: Run, stripe: StripeServer
) -> None:
    """What is not enabled at Stripe never arrives."""
    del context
    endpoint = {
        "id": "we_1",
        "object": "webhook_endpoint",
        "url": "https://example.com/billing/stripe/webhook/",
        "status": "enabled",
        "api_version": "2026-03-25.dahlia",
        "enabled_events": sorted(DECODERS.keys() - {"invoice.paid"}),
    }
    stripe.answers[ENDPOINTS] = {"object": "list", "data": [endpoint], "has_more": False}
    _, findings = run(STRIPE_SECRET_KEY="sk_test_of_the_tests", STRIPE_API_BASE=stripe.url)
    assert findings["webhook"][0]["level"] == "warn"
    assert findings["webhook"][0]["says"].endswith("lacks invoice.paid")


def an_endpoint(**more: object) -> dict[str, object]:
    """A webhook endpoint that sends everything."""
    return {
        "id": "we_1",
        "object": "webhook_endpoint",
        "url": "https://example.com/billing/stripe/webhook/",
        "status": "enabled",
        "api_version": None,
        "enabled_events": ["*"],
        "application": None,
        **more,
    }


KEY = "sk_test_of_the_tests"


@pytest.mark.parametrize("connect", [{"connect": True}, {"application": "ca_1"}])
def test_an_endpoint_that_listens_to_connected_accounts_is_named(
    context: WorkerContext, run: Run, stripe: StripeServer, connect: dict[str, object]
) -> None:
    """Its events are signed with a secret of ours, and are somebody else's."""
    del context
    data = [an_endpoint(), an_endpoint(url="https://example.com/connect/", **connect)]
    stripe.answers[ENDPOINTS] = {"object": "list", "data": data, "has_more": False}
    _, findings = run(STRIPE_SECRET_KEY=KEY, STRIPE_API_BASE=stripe.url)
    plain, listening = findings["webhook"]
    assert plain["level"] == "ok"
    assert listening["level"] == "warn"
    assert listening["says"].startswith("https://example.com/connect/")
    assert "listens to connected accounts" in listening["says"]


def test_our_own_account_is_told_and_what_contradicts_it(
    context: WorkerContext, run: Run, stripe: StripeServer
) -> None:
    """By the key, by the setting, by neither, and by both in different words."""
    del context
    stripe.answers.pop(ACCOUNT, None)
    asked = {"STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": stripe.url}

    def told(**variables: str) -> tuple[str, str]:
        [finding] = run(**variables)[1]["account"]
        return finding["level"], finding["says"]

    level, says = told(**asked)
    assert level == "warn"
    assert "every event that names an account is left alone" in says
    assert told(**asked, STRIPE_ACCOUNT="acct_ours")[0] == "ok"
    stripe.answers[ACCOUNT] = {"id": "acct_ours", "object": "account"}
    assert told(**asked, STRIPE_ACCOUNT="acct_other")[0] == "warn"
    assert told(**asked, STRIPE_ACCOUNT="acct_ours") == ("ok", "acct_ours, by the key")
    only_told = {"STRIPE_SECRET_KEY": "", "STRIPE_ACCOUNT": "acct_ours"}
    assert told(**only_told) == ("ok", "acct_ours, by STRIPE_ACCOUNT")


def test_events_that_were_left_alone_lately_are_told(context: WorkerContext, run: Run) -> None:
    """A wrong setting looks like peace."""
    assert "events" not in run()[1]
    sale = an_event("checkout.session.completed", a_session())
    put(context, [sale | {"id": "evt_1", "account": "acct_theirs"}])
    put(context, [sale | {"id": "evt_2", "livemode": True}])
    put(context, [an_event("ping", {"id": "x", "object": "x"}, event_id="evt_3")])
    drain(replace(context, test_mode=True), lambda: None)
    [finding] = run()[1]["events"]
    assert finding["level"] == "warn"
    assert finding["says"].startswith("2 events of another account or of the other mode")
    assert "STRIPE_TEST_MODE" in finding["cure"]


@pytest.mark.parametrize(
    ("status", "cure"), [(401, "check STRIPE_SECRET_KEY"), (500, "run it again"), (0, "network")]
)
def test_the_key_is_blamed_only_where_stripe_refused_it(
    context: WorkerContext, run: Run, stripe: StripeServer, status: int, cure: str
) -> None:
    """An operator who is sent to the key looks nowhere else."""
    del context
    stripe.status = status or 200
    base = stripe.url if status else "http://127.0.0.1:1"
    _, findings = run(STRIPE_SECRET_KEY=KEY, STRIPE_API_BASE=base)
    stripe.status = 200
    assert cure in findings["stripe"][0]["cure"]
    assert ("SECRET_KEY" in findings["stripe"][0]["cure"]) is (status == 401)


def test_a_proxy_that_lets_nobody_through_is_blamed_itself(
    context: WorkerContext, run: Run, stripe: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what stands between us and Stripe."""
    del context
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    _, findings = run(STRIPE_SECRET_KEY=KEY, STRIPE_API_BASE=stripe.url)
    assert findings["stripe"][0]["says"].endswith("no way through the proxy.")
    assert "HTTPS_PROXY" in findings["stripe"][0]["cure"]


def test_two_plans_of_one_user_are_a_warning(context: WorkerContext, run: Run) -> None:
    """It names the user and the two; no only plan, no package, nothing that ended."""
    a_second_plan(context)
    result, findings = run()
    assert result.exit_code == 0, result.output
    [finding] = findings["subscriptions"]
    assert finding["level"] == "warn"
    assert finding["says"] == "1 user(s) pay for two full plans: user_1 (sub_1, sub_2)"
    assert "cancel one" in finding["cure"]


def test_not_all_users_with_two_plans_are_named(context: WorkerContext, run: Run) -> None:
    """One line stays one line."""
    for user in (f"user_{number}" for number in range(7)):
        metadata = {"user_id": user, "plan_id": "2"}
        for name in (f"sub_a_{user}", f"sub_b_{user}"):
            found = a_subscription(id=name, customer=f"cus_{user}", metadata=metadata)
            work(context, [an_event("customer.subscription.created", found)])
    [finding] = run()[1]["subscriptions"]
    assert finding["says"].startswith("7 user(s) pay")
    assert "user_4" in finding["says"]
    assert finding["says"].endswith(" and 2 more")


def test_limits_that_are_not_in_force_are_told(context: WorkerContext, run: Run) -> None:
    """Behind a pooler a session asks for none, and its role has none here."""
    del context
    result, findings = run(DATABASE_POOLER="True")
    assert result.exit_code == 1
    [limits] = findings["database limits"]
    assert limits["level"] == "fail"
    assert "statement_timeout is 0 and should be 5000" in limits["says"]
    assert "deploy/app_role.sql" in limits["cure"]
    assert "database limits" not in run(DATABASE_POOLER="False")[1]


def test_copies_that_nobody_makes_are_told(context: WorkerContext, run: Run) -> None:
    """The product would refuse this server, so doctor has to look at it all the same."""
    del context
    result, findings = run(DATABASE_COPIES="1")
    assert result.exit_code == 1
    assert findings["database"][0]["level"] == "ok"
    [copies] = findings["database copies"]
    assert copies["says"].startswith("0 standby(s) must confirm a commit, 1 wanted")


def test_a_primary_of_yesterday_is_told(
    context: WorkerContext, redis_client: redis.Redis, run: Run
) -> None:
    """With what to do, also where it is the right one after all."""
    with context.engine.connect() as connection:
        asked = text("SELECT system_identifier FROM pg_control_system()")
        system = connection.execute(asked).scalar_one()
    redis_client.zadd("billing:timelines", {str(system): 7})
    result, findings = run()
    assert result.exit_code == 1
    assert "on timeline 1, another was promoted to 7" in findings["database"][-1]["says"]
    assert "billing:timelines" in findings["database"][-1]["cure"]
    redis_client.delete("billing:timelines")
    assert run()[1]["database"][-1]["level"] == "ok"


def test_customers_of_another_account_are_told(
    context: WorkerContext, run: Run, stripe: StripeServer
) -> None:
    """The oldest and the newest are asked about; simulated ones are nobody's at any Stripe."""
    stripe.forget()
    stripe.answers[ENDPOINTS] = {"object": "list", "data": [], "has_more": False}
    made_up = a_customer(id="cus_1simulated9")
    work(context, [an_event("customer.created", each) for each in (a_customer(), made_up)])
    asked = {"STRIPE_SECRET_KEY": "sk_test_of_the_tests", "STRIPE_API_BASE": stripe.url}
    _, findings = run(**asked)
    (found,) = findings["customers"]
    assert found["level"] == "warn"
    assert "does not know 1 of 1 customers asked about, such as cus_1:" in found["says"]
    assert "--fresh" in found["cure"]
    assert "/v1/customers/cus_1simulated9" not in stripe.asked
    stripe.answers["/v1/customers/cus_1"] = a_customer()
    _, findings = run(**asked)
    assert "customers" not in findings
