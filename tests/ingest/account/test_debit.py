"""Spending tokens on real engines: once for each key, never below zero, whoever else is at it."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

import db.ledger.catalogue
import settings
from db.engine import make_engine
from domain.catalogue.changes import changes_between
from domain.catalogue.plans import Catalogue
from ingest.app import create_app
from ingest.context import ReceiverContext, open_context
from tests.ingest.builders import ENVIRONMENT, a_token
from tests.pipeline import a_worker_context, empty, sell, work
from tests.play import CATALOGUE, a_plan
from tests.stripe_objects import a_refund, a_session, an_event
from workers.commands.explain import explain
from workers.context import WorkerContext
from workers.operations.audit import audit

PATH = "/billing/tokens/debit/"
SCOPE = "tokens:debit"
# As many as the pool has connections, so that the row is what they wait for.
THREADS = 24
ACCOUNT = "INSERT INTO token_accounts (user_id, balance) VALUES (:user, :tokens)"
A_PAYMENT = """
    INSERT INTO payments (id, kind, root_id, facts, listed, user_id, status, currency)
    VALUES (:id, 'invoice', :id, '{}', true, 'user_1', 'paid', :currency)
"""
WELCOME = """
    INSERT INTO ledger_entries (user_id, delta, kind, balance_after, reason)
    VALUES (:user, :tokens, 'adjustment', :tokens, 'welcome')
"""


@dataclass(frozen=True)
class Till:
    """The receiver and the pipeline on one database."""

    app: Flask
    receiver: ReceiverContext
    context: WorkerContext

    def send(self, body: object, *, user: str = "user_1", **changes: Any) -> TestResponse:
        """A debit as a program sends it; `changes` replace the key, the scope, the raw data."""
        headers = {
            "Authorization": f"Bearer {a_token(user=user, scope=changes.get('scope', SCOPE))}"
        }
        key = changes.get("key", "key_1")
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.app.test_client().post(
            PATH,
            data=changes.get("data", json.dumps(body)),
            headers=headers,
            content_type=changes.get("content_type", "application/json"),
        )

    def debit(self, amount: int, key: str = "key_1", reason: str = "a summary") -> TestResponse:
        """A debit that is well formed."""
        return self.send({"amount": amount, "reason": reason}, key=key)

    def fund(self, tokens: int, user: str = "user_1") -> None:
        """Give a user tokens by hand."""
        with self.context.engine.begin() as connection:
            given = {"user": user, "tokens": tokens}
            connection.execute(text(ACCOUNT), given)
            connection.execute(text(WELCOME), given)

    def rows(self, sql: str) -> Sequence[Any]:
        """What the database says."""
        with self.context.engine.connect() as connection:
            return connection.execute(text(sql)).all()

    @property
    def balance(self) -> int:
        """What the one user has; the entries must agree."""
        [(balance,)] = self.rows("SELECT balance FROM token_accounts WHERE user_id = 'user_1'")
        [(total,)] = self.rows("SELECT sum(delta) FROM ledger_entries WHERE user_id = 'user_1'")
        assert total == balance
        return int(balance)


@pytest.fixture(scope="module")
def opened(database_url: str, redis_url: str) -> Iterator[Till]:
    """A till on the module's engines; nobody is told to slow down."""
    environment = ENVIRONMENT | {
        "DATABASE_URL": database_url.replace("+psycopg2", ""),
        "REDIS_URL": redis_url,
    }
    found = settings.load(environ=environment)
    receiver = replace(open_context(found), engine=make_engine(database_url, pool_size=THREADS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.http.rate_limit.REQUESTS_PER_SECOND", 10**6)
        app = create_app(found, opened=receiver)
    context = a_worker_context(database_url, redis_url)
    sell(context.engine, CATALOGUE)
    yield Till(app, receiver, context)
    context.engine.dispose()
    receiver.engine.dispose()


@pytest.fixture
def till(opened: Till) -> Till:
    """The same, with nothing in it."""
    empty(opened.context.engine)
    opened.receiver.redis.flushdb()
    return opened


def at_once(count: int, act: Callable[[int], TestResponse]) -> list[TestResponse]:
    """Do something many times at the same moment."""
    gate = threading.Barrier(THREADS)

    def begin(number: int) -> TestResponse:
        if number < THREADS:
            gate.wait(timeout=20)
        return act(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(count)))


def test_a_debit_is_answered_with_its_ledger_entry(till: Till) -> None:
    """201, in the shape of the ledger's items, and the ledger lists it."""
    till.fund(100)
    answer = till.debit(30)
    entry = answer.get_json()
    assert answer.status_code == 201
    assert {**entry, "id": 0, "created_at": ""} == {
        "id": 0,
        "delta": -30,
        "kind": "debit",
        "balance_after": 70,
        "payment_id": None,
        "event_id": None,
        "reason": "a summary",
        "created_at": "",
    }
    headers = {"Authorization": f"Bearer {a_token()}"}
    listed = till.app.test_client().get("/billing/tokens/ledger/", headers=headers).get_json()
    assert listed["items"][0] == entry
    assert till.balance == 70


def test_a_repeat_is_answered_with_the_same_entry(till: Till) -> None:
    """200, and nothing more is spent, even when the balance would not cover it again."""
    till.fund(100)
    first, again = till.debit(70), till.debit(70)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.get_json() == first.get_json()
    assert till.balance == 30


@pytest.mark.parametrize(("amount", "reason"), [(2, "a summary"), (1, "another")])
def test_a_key_with_other_content_is_refused(till: Till, amount: int, reason: str) -> None:
    """409, and nothing is spent."""
    till.fund(100)
    till.debit(1)
    answer = till.debit(amount, reason=reason)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (
        409,
        "idempotency_key_reused",
    )
    assert till.balance == 99


def test_the_same_key_of_another_user_is_another_key(till: Till) -> None:
    """Keys are each user's own."""
    till.fund(10)
    till.fund(10, "user_2")
    body = {"amount": 4, "reason": "a summary"}
    first, second = till.send(body), till.send(body, user="user_2")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json()["id"] != second.get_json()["id"]


def test_a_402_says_what_is_missing_and_what_to_buy(till: Till) -> None:
    """The packages that cover it, cheapest first, each with the body for the checkout call."""
    till.fund(4)
    problem = till.debit(904).get_json(force=True)
    assert (problem["balance"], problem["amount"], problem["missing"]) == (4, 904, 900)
    assert problem["buy"] == [
        {
            "plan_id": 4,
            "name": "Plan 4",
            "tokens": 1000,
            "interval": None,
            "currency": "usd",
            "amount": 500,
            "checkout": {"plan_type": "token", "plan_id": 4, "currency": "usd"},
        }
    ]
    assert till.debit(1_005).get_json(force=True)["buy"] == []


def test_packages_are_offered_in_what_the_buyer_pays_in(till: Till) -> None:
    """A debt counts as missing too; where nothing is sold in it, in the shop's currency."""
    till.fund(-3)
    packs = [
        a_plan(4, 1_000, type="token", interval=None, prices={"usd": 500, "eur": 450}),
        a_plan(5, 5_000, type="token", interval=None, prices={"usd": 400, "gbp": 300}),
    ]
    with till.context.engine.begin() as connection:
        current = {plan.id: plan for plan in db.ledger.catalogue.load(connection).plans}
        changes = changes_between(Catalogue.of(current.values()), packs)
        db.ledger.catalogue.save(connection, changes)

    def offered(currency: str) -> list[tuple[int, int]]:
        row = {"id": f"in_{currency}", "currency": currency}
        with till.context.engine.begin() as connection:
            connection.execute(text("DELETE FROM payments"))
            connection.execute(text(A_PAYMENT), row)
        problem = till.debit(2).get_json(force=True)
        assert problem["missing"] == 5
        return [(package["plan_id"], package["amount"]) for package in problem["buy"]]

    assert offered("usd") == [(5, 400), (4, 500)]
    assert offered("eur") == [(4, 450)]
    assert offered("gbp") == [(5, 300)]
    assert offered("jpy") == [(5, 400), (4, 500)]


@pytest.mark.parametrize("funds", [0, 4])
def test_more_than_there_is_cannot_be_spent(till: Till, funds: int) -> None:
    """402 with what there is and what was asked; later the same key may be tried again."""
    if funds:
        till.fund(funds)
    answer = till.debit(5)
    problem = answer.get_json(force=True)
    assert (answer.status_code, answer.mimetype) == (402, "application/problem+json")
    assert (problem["code"], problem["balance"], problem["amount"]) == (
        "insufficient_tokens",
        funds,
        5,
    )
    if funds:
        assert till.balance == funds
        assert till.debit(funds).status_code == 201


@pytest.mark.parametrize("scope", ["", "tokens:debits", "tokens debit", None])
def test_a_token_without_the_scope_is_forbidden(till: Till, scope: str | None) -> None:
    """403 before anything else is looked at."""
    till.fund(10)
    answer = till.send({"nonsense": True}, scope=scope, key=None)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (403, "insufficient_scope")


def test_nobody_is_not_let_in(till: Till) -> None:
    """401 without a token."""
    assert till.app.test_client().post(PATH, json={}).status_code == 401


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_missing"),
        ("", "idempotency_key_invalid"),
        ("two words", "idempotency_key_invalid"),
        ("k" * 256, "idempotency_key_invalid"),
        ("cl\N{LATIN SMALL LETTER E WITH ACUTE}", "idempotency_key_invalid"),
    ],
)
def test_a_key_is_needed_and_must_be_readable(till: Till, key: str | None, code: str) -> None:
    """400 otherwise."""
    till.fund(10)
    answer = till.send({"amount": 1, "reason": "a summary"}, key=key)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (400, code)
    assert till.balance == 10


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 1.0}, "amount"),
        ({"amount": "1"}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": 2**53}, "amount"),
        ({"amount": 10**30}, "amount"),
        ({"reason": ""}, "reason"),
        ({"reason": "  "}, "reason"),
        ({"reason": "a\0b"}, "reason"),
        ({"reason": "r" * 501}, "reason"),
        ({"reason": 7}, "reason"),
        ({"user_id": "user_2"}, "user_id"),
    ],
)
def test_wrong_input_is_named(till: Till, change: dict[str, Any], wrong: str) -> None:
    """422 with the member that is wrong, unknown ones too."""
    till.fund(10)
    answer = till.send({"amount": 1, "reason": "a summary"} | change)
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"]) == (422, "invalid_input")
    assert list(problem["errors"]["body"]) == [wrong]
    assert till.balance == 10


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"amount": 1, "reason": "\\ud800"}', "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"amount=1", "application/x-www-form-urlencoded", 415),
        (b"[1]", "application/json", 422),
        (b"null", "application/json", 422),
        (b"", "", 422),
        (b" " * (64 * 1024 + 1), "application/json", 413),
    ],
)
def test_a_body_that_is_no_object_is_refused(
    till: Till, data: bytes, content_type: str, status: int
) -> None:
    """Each kind of wrong body with its status, and always as a problem."""
    answer = till.send(None, data=data, content_type=content_type)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")


def test_a_body_of_untold_length_is_refused_not_cut(till: Till) -> None:
    """413 for chunks over the limit: cut off, this would have been a valid debit."""
    till.fund(10)
    sent = b'{"amount": 1, "reason": "a summary"}'.ljust(64 * 1024) + b"and more"
    headers = {"Authorization": f"Bearer {a_token(scope=SCOPE)}", "Idempotency-Key": "key_1"}

    def environ(data: bytes) -> dict[str, Any]:
        return {
            "CONTENT_LENGTH": None,
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input_terminated": True,
            "wsgi.input": BytesIO(data),
        }

    client = till.app.test_client()
    named: dict[str, Any] = {"headers": headers, "content_type": "application/json"}
    assert client.post(PATH, environ_overrides=environ(sent), **named).status_code == 413
    assert till.balance == 10
    assert client.post(PATH, environ_overrides=environ(sent[:65536]), **named).status_code == 201


def test_parallel_debits_spend_exactly_what_there_is(till: Till) -> None:
    """200 debits of 1 on a balance of 100: 100 succeed, 100 are told that nothing is left."""
    till.fund(100)
    answers = at_once(200, lambda number: till.debit(1, f"key_{number}"))
    assert Counter(answer.status_code for answer in answers) == {201: 100, 402: 100}
    assert till.balance == 0
    after = [row[0] for row in till.rows("SELECT balance_after FROM ledger_entries ORDER BY id")]
    assert after == list(range(100, -1, -1))


def test_one_key_sent_in_parallel_is_one_entry(till: Till) -> None:
    """One 201, the others 200, all with the same entry; the first ever of this user included."""
    till.fund(100)
    answers = at_once(48, lambda _number: till.debit(60))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 47}
    assert len({answer.get_json()["id"] for answer in answers}) == 1
    assert till.balance == 40


def test_debits_and_reversals_at_the_same_time_leave_a_ledger_that_holds(
    till: Till, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refund may take the balance below zero, a debit never; audit and explain agree."""
    sales = range(6)
    sold = [
        an_event(
            "checkout.session.completed", a_session(id=f"cs_{each}", payment_intent=f"pi_{each}")
        )
        for each in sales
    ]
    work(till.context, sold)
    refunds = [
        an_event(
            "refund.created", a_refund(id=f"re_{each}", payment_intent=f"pi_{each}", charge=None)
        )
        for each in sales
    ]
    taken = threading.Thread(target=lambda: [work(till.context, [refund]) for refund in refunds])
    taken.start()
    answers = at_once(120, lambda number: till.debit(70, f"key_{number}"))
    taken.join(timeout=30)
    spent = Counter(answer.status_code for answer in answers)
    assert set(spent) <= {201, 402}
    assert till.balance == -70 * spent[201]
    lowest = till.rows("SELECT min(balance_after) FROM ledger_entries WHERE kind = 'debit'")
    assert lowest[0][0] >= 0

    found: list[Any] = []
    audit(till.context.engine, found.append, lambda _done, _total: None)
    assert found == []
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))
    story = CliRunner().invoke(explain, ["--user", "user_1"])
    assert story.exit_code == 0, story.output
    assert story.output.count("spent: a summary") == spent[201]
