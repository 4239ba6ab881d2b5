"""The stream over a real server: who may listen, what they hear, how it ends and resumes."""

import http.client
import json
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]  # It ships no types.
import pytest

from db.queue.stream import connect
from tests.cutting_proxy import cutting
from tests.ingest.stream.live import (
    ORIGIN,
    STREAM,
    TICKET,
    Receiver,
    answers,
    as_user,
    running,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


@pytest.fixture
def receiver(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Receiver]:
    """A receiver on real stores."""
    with running(database_url, redis_url, tmp_path) as found:
        yield found


def test_changes_come_as_they_happen_and_only_ones_own(receiver: Receiver) -> None:
    """`ready` first, then each message whole, soon after it was committed."""
    listener = receiver.open(as_user("user_1") | {"Origin": ORIGIN})
    assert listener.answer.headers["Content-Type"].startswith("text/event-stream")
    assert listener.answer.headers["X-Accel-Buffering"] == "no"
    assert listener.answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert listener.next()[1] == "ready"
    receiver.tell("user_2")
    began = time.monotonic()
    receiver.tell("user_1")
    version, event, data = listener.next()
    assert time.monotonic() - began < 5
    assert (event, data["type"], data["user"]) == ("tokens.changed", "tokens.changed", "user_1")
    assert (version, data["data"]) == (str(data["version"]), {"balance": 1})


def test_whoever_breaks_off_resumes_without_a_gap(receiver: Receiver) -> None:
    """Also what was told without any hint."""
    listener = receiver.open(as_user("user_3"))
    seen, _, _ = listener.next()
    listener.close()
    for _ in range(3):
        receiver.tell("user_3", hint=False)
    listener = receiver.open(as_user("user_3") | {"Last-Event-ID": seen})
    versions = [int(listener.next()[0]) for _ in range(3)]
    assert versions == [int(seen) + n for n in (1, 2, 3)]


def test_who_cannot_send_a_header_says_in_the_query_what_was_seen(receiver: Receiver) -> None:
    """As EventSource on a new address; a header says it better, and nonsense says nothing."""
    for _ in range(3):
        receiver.tell("user_6")
    asker = as_user("user_6")
    first, _, _ = receiver.open(asker, f"{STREAM}?last_event_id=1").next()
    assert first == "2"
    seen_more = asker | {"Last-Event-ID": "2"}
    first, _, _ = receiver.open(seen_more, f"{STREAM}?last_event_id=1").next()
    assert first == "3"
    assert receiver.open(asker, f"{STREAM}?last_event_id=soon").next()[1] == "ready"


def test_a_ticket_opens_one_stream(receiver: Receiver) -> None:
    """Once; a used, a stolen-and-used and an invented one are all 401."""
    assert receiver.ask("POST", TICKET, {}).status == 401
    answer = json.loads(receiver.ask("POST", TICKET, as_user("user_4")).read())
    assert answer["expires_in"] == 60
    path = f"{STREAM}?ticket={answer['ticket']}"
    assert receiver.open({}, path).next()[1] == "ready"
    for used in (path, f"{STREAM}?ticket=invented", f"{STREAM}?ticket={'x' * 5000}", STREAM):
        refused = receiver.ask("GET", used, {})
        assert (refused.status, refused.headers["Content-Type"]) == (
            401,
            "application/problem+json",
        )
        assert json.loads(refused.read())["code"] == "not_authenticated"


def test_a_ticket_that_was_stolen_or_has_expired_opens_nothing(
    receiver: Receiver, redis_url: str
) -> None:
    """Whoever is second is refused, be it the owner; and after a minute everybody is."""
    tickets = [
        json.loads(receiver.ask("POST", TICKET, as_user("user_7")).read())["ticket"]
        for _ in range(2)
    ]
    assert receiver.open({}, f"{STREAM}?ticket={tickets[0]}").next()[1] == "ready"
    assert receiver.ask("GET", f"{STREAM}?ticket={tickets[0]}", {}).status == 401
    # It is good for the stream alone, and is no token.
    stolen = {"Authorization": f"Bearer {tickets[1]}"}
    assert receiver.ask("GET", "/billing/tokens/", stolen).status == 401
    assert receiver.ask("GET", f"/billing/tokens/?ticket={tickets[1]}", {}).status == 401
    with closing(connect(redis_url)) as client:
        kept = list(client.scan_iter("billing:ticket:*"))
        assert len(kept) == 1
        assert 0 < int(client.ttl(kept[0])) <= 60
        assert tickets[1].encode() not in kept[0]
        client.pexpire(kept[0], 1)
    time.sleep(0.05)
    assert receiver.ask("GET", f"{STREAM}?ticket={tickets[1]}", {}).status == 401


def test_while_redis_is_away_streams_say_so_and_go_on(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Changes come within seconds, nobody misses one; a token opens a stream, a ticket none."""
    address = urlsplit(redis_url)
    with cutting(address.port or 6379) as way:
        seen = address._replace(netloc=address.netloc.rpartition(":")[0] + f":{way.port}").geturl()
        with running(database_url, redis_url, tmp_path, redis_seen=seen) as receiver:
            listener = receiver.open(as_user("user_8"))
            position = int(listener.next()[0])
            way.closed = True
            way.cut()
            assert listener.next()[1] == "delayed"
            receiver.tell("user_8")
            began = time.monotonic()
            assert listener.next()[0] == str(position + 1)
            assert time.monotonic() - began < 6
            assert receiver.ask("POST", TICKET, as_user("user_8")).status == 503
            resumed = receiver.open(as_user("user_8") | {"Last-Event-ID": str(position)})
            first, second = resumed.next(), resumed.next()
            assert (first[1], second[0]) == ("delayed", str(position + 1))
            way.closed = False
            for each in (listener, resumed):
                assert each.next()[1] == "live"
            receiver.tell("user_8")
            for each in (listener, resumed):
                assert each.next()[0] == str(position + 2)


def test_who_comes_back_a_thousand_times_a_second_waits_and_leaves_nothing_behind(
    receiver: Receiver,
) -> None:
    """With a good token: some are let in, the others told to wait, and no stream stays open."""
    statuses: list[int] = []

    def hammer() -> None:
        for _ in range(60):
            with closing(http.client.HTTPConnection("127.0.0.1", receiver.port, 20)) as connection:
                connection.request("GET", STREAM, headers=as_user("user_9"))
                with connection.getresponse() as answer:
                    statuses.append(answer.status)
                    assert answer.status == 200 or answer.headers["Retry-After"]

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 429}
    assert len(statuses) == 480
    deadline = time.monotonic() + 20
    while receiver.streams_open():
        assert time.monotonic() < deadline, "streams of clients that are gone stay open"
        time.sleep(0.2)
    assert receiver.open(as_user("user_10")).next()[1] == "ready"


def test_a_stream_ends_with_its_token(receiver: Receiver) -> None:
    """An expired one opens none; one that expires soon ends then, also through a ticket."""
    assert receiver.ask("GET", STREAM, as_user("user_5", seconds=-5)).status == 401
    headers = as_user("user_5", seconds=3)
    ticket = json.loads(receiver.ask("POST", TICKET, headers).read())["ticket"]
    for listener in (receiver.open(headers), receiver.open({}, f"{STREAM}?ticket={ticket}")):
        began = time.monotonic()
        assert listener.next()[1] == "ready"
        with pytest.raises(EOFError):
            listener.next()
        assert time.monotonic() - began < 6


def test_it_stops_at_once_with_open_streams(receiver: Receiver) -> None:
    """Their clients come back, to another process."""
    listeners = [receiver.open(as_user(f"user_{number}")) for number in range(10)]
    for listener in listeners:
        listener.next()
    began = time.monotonic()
    receiver.process.send_signal(signal.SIGTERM)
    for listener in listeners:
        with pytest.raises((EOFError, http.client.IncompleteRead)):
            listener.next()
    assert receiver.process.wait(timeout=8) == 0
    assert time.monotonic() - began < 4


def test_a_thousand_idle_streams_are_cheap_and_hear_of_changes(receiver: Receiver) -> None:
    """No thread, some kB each."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, min(most, 4_096)), most))
    main = psutil.Process(receiver.process.pid)
    [serving] = main.children()
    before, threads = serving.memory_info().rss, serving.num_threads()
    listeners = [receiver.open(as_user(f"user_{number}")) for number in range(1_000)]
    for listener in listeners:
        assert listener.next()[1] == "ready"
    grown = (serving.memory_info().rss - before) / 1e6
    assert grown < 60, f"{grown:.0f} MB more"
    assert serving.num_threads() < threads + 20
    receiver.tell("user_999")
    assert listeners[999].next()[1] == "tokens.changed"


def test_many_connects_at_once_are_slowed_down(receiver: Receiver) -> None:
    """A client that comes back a thousand times a second is told to wait."""
    statuses: list[int] = []

    def hammer() -> None:
        for _ in range(60):
            answer = receiver.ask("GET", STREAM, {"Authorization": "Bearer nonsense"})
            answer.read()
            statuses.append(answer.status)

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {401, 429}
    assert answers(receiver.port)
