"""The command as a whole, against a receiver made of the expected account."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import stripe
from click.testing import CliRunner, Result

from sandbox.simulate import command
from sandbox.simulate.access import DatedAccount
from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.expected import Expectation, is_active
from sandbox.simulate.plans import SAMPLE_PLANS, read_file, read_patience

SECRET = "whsec_simulated"
JWT_SECRET = "a secret of at least thirty-two bytes"


def iso(moment: int | None) -> str | None:
    """A moment as the endpoints write it."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()


def subscription_item(subscription: Subscription) -> dict[str, Any]:
    """A subscription as the endpoints list it."""
    plan = subscription.price.plan if subscription.sold else None
    pause = subscription.pause_behavior
    return {
        "id": subscription.id,
        "plan_id": plan.id if plan else None,
        "plan_type": plan.type if plan else None,
        "status": subscription.status,
        "is_active": is_active(subscription),
        "quantity": subscription.quantity,
        "items": [
            {"plan_id": item.plan.id if item.plan else None, "quantity": item.quantity or 0}
            for item in subscription.items
        ],
        "current_period_start": iso(subscription.period_start),
        "current_period_end": iso(subscription.period_end),
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "cancel_at": iso(subscription.cancel_at),
        "canceled_at": iso(subscription.canceled_at),
        "trial_end": iso(subscription.trial_end),
        "pause_collection": {"behavior": pause, "resumes_at": iso(subscription.resumes_at)}
        if pause
        else None,
    }


class Receiver:
    """Answers as a right receiver would once every event has come; wrong where told so."""

    def __init__(self) -> None:
        self.account: DatedAccount | None = None
        self.seen: set[str] = set()
        self.posts = 0
        self.too_many_tokens_for: str | None = None
        self.allows_nothing = False
        self.refuses_first = False

    def post(self, body: bytes, header: str) -> int:
        """Take an event in."""
        self.posts += 1
        if self.refuses_first and self.posts == 1:
            return 503
        try:
            stripe.WebhookSignature.verify_header(body, header, SECRET, 300)
        except stripe.SignatureVerificationError:
            return 400
        self.seen.add(json.loads(body)["id"])
        return 200

    def get(self, path: str, user_id: str) -> dict[str, Any]:
        """Answer a read endpoint."""
        if path.startswith("/billing/plans/"):
            kind = path.split("/")[3]
            plans = [plan for plan in read_file(SAMPLE_PLANS) if plan.type == kind]
            listed = [{**asdict(plan), "plan_type": plan.type} for plan in plans]
            return {"items": listed, "next_cursor": None}
        assert self.account is not None
        complete = len(self.seen) == len(self.account.events)
        (what,) = [e for e in self.account.expected.users() if e.user_id == user_id]
        items = self._items(path, what)
        if path == "/billing/tokens/":
            extra = 1 if user_id == self.too_many_tokens_for else 0
            return {"balance": what.balance + extra if complete else -1}
        if path == "/billing/access/":
            return self._access(user_id)
        return {"items": items, "next_cursor": None}

    def _access(self, user_id: str) -> dict[str, Any]:
        assert self.account is not None
        expected = self.account.expected.users()
        patience = read_patience(SAMPLE_PLANS)
        entitled = self.account.entitled(expected, read_file(SAMPLE_PLANS), patience)
        (access,) = [each.access for each in entitled if each.user_id == user_id]
        assert access
        now = int(time.time())
        limits = {} if self.allows_nothing else access.limits(now)
        features = {name: {"allowed": True, "limit": limit} for name, limit in limits.items()}
        seats = {"seats": {"allowed": False, "limit": 0}}
        return {"features": seats | features, "until": iso(access.until(now))}

    @staticmethod
    def _items(path: str, what: Expectation) -> list[dict[str, Any]]:
        if path == "/billing/subscriptions/":
            return [subscription_item(each) for each in what.subscriptions]
        if path == "/billing/payments/":
            return [
                {
                    "id": sale.id,
                    "amount": sale.amount,
                    "amount_refunded": sale.refunded,
                    "amount_disputed": sale.disputed,
                    "currency": sale.currency,
                    "status": sale.status,
                    "plan_id": min(sale.plans, default=None),
                    "plan_type": min(sale.plan_types, default=None),
                    "subscription_id": sale.subscription_id,
                    "tokens": sale.tokens,
                    "note": "Worth nothing yet" if sale.has_note else None,
                }
                for sale in what.sales
            ]
        entries: list[dict[str, Any]] = []
        balance = 0
        for sale in what.sales:
            balance += sale.tokens
            entry = {"delta": sale.tokens, "balance_after": balance, "payment_id": sale.id}
            entries.insert(0, entry)
        return entries


@contextmanager
def serving(receiver: Receiver) -> Iterator[str]:
    """Serve a receiver on a free port; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave together: two small writes would wait for each other.
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(receiver.post(body, self.headers["Stripe-Signature"]), {"received": True})

        def do_GET(self) -> None:
            token = self.headers["Authorization"].removeprefix("Bearer ")
            user_id = jwt.decode(token, JWT_SECRET, algorithms=["HS256"])["sub"]
            self._answer(200, receiver.get(urlsplit(self.path).path, user_id))

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

        def _answer(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Receiver:
    """A receiver that knows the expected account, and settings that fit it."""
    made = Receiver()
    sell = command.sell

    def remembered(*arguments: Any) -> DatedAccount:
        made.account = sell(*arguments)
        return made.account

    monkeypatch.setattr(command, "sell", remembered)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("JWT_SECRET", JWT_SECRET)
    return made


def run(receiver: Receiver, *options: str) -> Result:
    """Run `simulate` against a receiver."""
    with serving(receiver) as url:
        arguments = ["--url", url, "--seed", "4", "--timeout", "1", "--connections", "4", *options]
        return CliRunner().invoke(command.simulate, arguments)


def test_a_right_receiver_is_called_right(receiver: Receiver) -> None:
    """Shuffled, doubled and with one 503, a right receiver gets a table and exit code 0."""
    receiver.refuses_first = True
    result = run(receiver, "--customers", "45", "--duplicates", "0.3", "--shuffle")
    assert result.exit_code == 0, result.output
    assert "Right: every balance" in result.output
    assert receiver.account is not None
    assert receiver.posts > len(receiver.account.events)


def test_one_token_too_many_is_a_difference_and_exit_code_one(receiver: Receiver) -> None:
    """A wrong balance is named with user, expected and found figure."""
    receiver.too_many_tokens_for = "sim-abc-00002"
    result = run(receiver, "--customers", "5", "--run", "abc")
    assert result.exit_code == 1
    assert "sim-abc-00002: balance: expected " in result.output
    assert "Wrong: 1 difference (run abc, seed 4)" in result.output


def test_a_feature_that_is_not_unlocked_is_a_difference(receiver: Receiver) -> None:
    """What a buyer may use is the seller's own reckoning, and wrong where the receiver differs."""
    receiver.allows_nothing = True
    result = run(receiver, "--customers", "12", "--run", "abc")
    assert ": allowed, with limits: expected {'api': None, " in result.output
    assert result.exit_code == 1


def test_the_json_report_is_nothing_but_json(receiver: Receiver) -> None:
    """Scripts read stdout; progress goes elsewhere."""
    result = run(receiver, "--customers", "3", "--json")
    report = json.loads(result.stdout)
    assert report["right"] is True
    rows = {row["what"]: row for row in report["rows"]}
    assert rows["right balance, users"]["ok"] is True
    assert rows["right access, users"]["ok"] is True
    assert rows["deliveries accepted"]["ok"] is True


def test_a_wrong_secret_is_said_in_words(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver with another secret refuses; the command stops and says what to look at."""
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_other")
    result = run(receiver, "--customers", "3")
    assert result.exit_code == 1
    assert "same STRIPE_WEBHOOK_SECRET" in result.output


def test_a_receiver_that_is_not_there_is_said_in_one_line(receiver: Receiver) -> None:
    """No receiver, no trace of Python: one line and exit code 1."""
    del receiver
    result = CliRunner().invoke(
        command.simulate, ["--url", "http://127.0.0.1:9", "--customers", "1"]
    )
    assert result.exit_code == 1
    assert "nothing answers at http://127.0.0.1:9" in result.output
    assert "Traceback" not in result.output
