"""The offline Stripe answers late, not at all or with errors when told to; dates are its own."""

import http.client
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe

from sandbox.simulate.versions import EVERY
from sandbox.stripe.views import ANSWERING
from tests.offline_stripe import DAY, KEY, SECRET, Offline, offline_stripe
from tests.stripe_types import problems_of


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def asked(offline: Offline, path: str, timeout_seconds: float = 10) -> tuple[int, dict[str, str]]:
    """Ask without the SDK; the status and the headers in small letters."""
    place = urlsplit(offline.url).netloc
    connection = http.client.HTTPConnection(place, timeout=timeout_seconds)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {KEY}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def seconds_of(offline: Offline, path: str) -> float:
    """How long an answer takes."""
    start = time.monotonic()
    assert asked(offline, path)[0] == 200
    return time.monotonic() - start


def sent(offline: Offline, **form: Any) -> int:
    """Send the dashboard's form, as a program would; the status."""
    place = urlsplit(offline.url).netloc
    connection = http.client.HTTPConnection(place, timeout=10)
    body = "&".join(f"{name}={value}" for name, value in form.items())
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection.request("POST", "/answers", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_answers_are_dated_by_the_accounts_own_clock(offline: Offline) -> None:
    """The clock put forward is in the date of every answer, refusals included, in step with now."""
    for path in ("/v1/customers", "/v1/customers/cus_none", "/v1/nothing"):
        offline.world.advance(40 * DAY)
        _, headers = asked(offline, path)
        dated = parsedate_to_datetime(headers["date"]).timestamp()
        assert abs(dated - offline.world.now) <= 2
        assert dated > datetime.now(UTC).timestamp() + 39 * DAY
        assert headers["request-id"].startswith("req_")


def test_an_answer_is_never_dated_before_what_it_tells(offline: Offline) -> None:
    """A payment puts the clock a second forward; the answer that shows it is as late."""
    offline.subscription(offline.price(), offline.customer())
    newest = max(one.event.created for one in offline.world.log.posted)
    _, headers = asked(offline, "/v1/subscriptions")
    assert parsedate_to_datetime(headers["date"]).timestamp() >= newest


def test_the_account_tells_its_own_id_and_no_others(offline: Offline) -> None:
    """One id for as long as its file lives; any other account is refused as Stripe refuses it."""
    own = offline.client.v1.accounts.retrieve_current()
    assert own.id.startswith("acct_1")
    assert offline.client.v1.accounts.retrieve(own.id).id == own.id
    assert not problems_of(own.to_dict(for_json=True))
    with pytest.raises(stripe.PermissionError) as error:
        offline.client.v1.accounts.retrieve("acct_1Stranger")
    assert error.value.error is not None
    assert error.value.error.code == "account_invalid"


@pytest.mark.parametrize("version", [each.name for each in EVERY])
def test_webhooks_are_told_in_the_version_of_the_switch(offline: Offline, version: str) -> None:
    """Who was a customer before is told so too; answers keep the version that is asked for."""
    customer = offline.customer()
    offline.world.set_switches(api_version=version)
    contract = offline.subscription(offline.price(), customer)
    old = version < "2025-03-31"
    (told,) = offline.objects("customer.subscription.created")
    assert ("current_period_end" in told) is old
    assert {one.event.payload["api_version"] for one in offline.world.log.posted[1:]} == {version}
    answered = offline.client.v1.subscriptions.retrieve(contract).to_dict()
    assert "current_period_end" not in answered
    offline.world.serve_to("http://127.0.0.1:1/hook", SECRET)
    (endpoint,) = offline.client.v1.webhook_endpoints.list().data
    assert endpoint.api_version == version


def test_slow_answers_come_late_and_pages_at_once(offline: Offline) -> None:
    """As many seconds as are set, for the API alone."""
    offline.world.set_answering(kind="slow", slow_seconds=0.6)
    assert seconds_of(offline, "/v1/customers") >= 0.6
    # So slow that no machine takes as long by itself.
    offline.world.set_answering(kind="slow", slow_seconds=60)
    assert seconds_of(offline, "/") < 10
    offline.world.set_answering(kind="normal")
    assert seconds_of(offline, "/v1/customers") < 10


def test_a_stripe_that_hangs_says_nothing_until_it_is_well(offline: Offline) -> None:
    """A short patience ends without an answer; a long one is rewarded once the switch is turned."""
    offline.world.set_answering(kind="hang")
    with pytest.raises(TimeoutError):
        asked(offline, "/v1/customers", timeout_seconds=0.5)
    found: list[int] = []
    waiting = threading.Thread(target=lambda: found.append(asked(offline, "/v1/customers")[0]))
    waiting.start()
    waiting.join(0.3)
    assert not found
    offline.world.set_answering(kind="normal")
    waiting.join(5)
    assert found == [200]


def test_it_hangs_for_a_time_only_where_a_time_is_set(offline: Offline) -> None:
    """After those seconds all is normal again, for those who waited too."""
    offline.world.set_answering(kind="hang", for_seconds=0.6)
    assert 0.4 <= seconds_of(offline, "/v1/customers") < 3
    assert offline.world.answering.kind == "normal"


@pytest.mark.parametrize(
    ("status", "wait", "kind"), [(500, None, stripe.APIError), (429, 7, stripe.RateLimitError)]
)
def test_errors_are_stripes_own_and_leave_nothing_behind(
    offline: Offline, status: int, wait: int | None, kind: type[stripe.StripeError]
) -> None:
    """The SDK's class, how long to wait where that is set, and nothing made."""
    offline.world.set_answering(kind="errors", status=status, retry_after_seconds=wait)
    with pytest.raises(kind) as error:
        offline.client.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
    assert error.value.http_status == status
    headers: Any = error.value.headers
    assert headers.get("retry-after") == (None if wait is None else str(wait))
    assert error.value.request_id
    offline.world.set_answering(kind="normal")
    assert not offline.client.v1.customers.list().data


def test_a_program_sets_it_by_the_dashboards_form(offline: Offline) -> None:
    """Every kind; and nonsense is refused."""
    for kind in ANSWERING:
        form = {"kind": kind, "slow_seconds": 1.5, "status": 429, "retry_after_seconds": 3}
        assert sent(offline, **form, for_seconds=60) == 303
        told = offline.world.answering
        assert (told.kind, told.slow_seconds, told.status) == (kind, 1.5, 429)
        assert told.retry_after_seconds == 3
        assert 50 < told.until - time.time() <= 60
    assert sent(offline, kind="errors", status=418) == 400
    assert sent(offline, kind="odd") == 400
    assert sent(offline, kind="normal") == 303
    assert offline.world.answering.until == 0
