"""One message to one address: signed, bounded in time and size, and only to what was checked."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
import pytest
from standardwebhooks import Webhook

from db.outbox.messages import Written
from tests.receiver import receiving
from workers.hearing.addresses import target_of
from workers.hearing.destinations import new_secret
from workers.hearing.sending import Answer, Sender, message_id

MESSAGE = Written("ü ser", 7, "tokens.changed", {"balance": 5}, datetime.now(UTC))


def send(url: str, *secrets: str, seconds: float = 2.0, sender: Sender | None = None) -> Answer:
    """Send the message once."""

    async def once() -> Answer:
        used = sender or Sender(allow_private=True, timeout_seconds=seconds)
        try:
            return await used.send(url, secrets, message_id(MESSAGE), MESSAGE.body())
        finally:
            await used.close()

    return asyncio.run(once())


def test_a_message_is_whole_and_verifies_with_either_secret() -> None:
    """During a rotation the receiver may have one or the other."""
    old, new = new_secret(), new_secret()
    for known in (old, new):
        with receiving(secret=known) as receiver:
            assert send(receiver.url, new, old) == Answer(200)
        assert receiver.heard == [
            {
                "type": "tokens.changed",
                "user": "ü ser",
                "version": 7,
                "created_at": MESSAGE.created_at.isoformat(),
                "data": {"balance": 5},
            }
        ]
        assert receiver.headers[0]["host"] == receiver.url.split("/")[2]
        assert receiver.ids[0].isascii()
    with receiving(secret=new_secret()) as stranger:
        assert send(stranger.url, new, old) == Answer(400, "answered 400")


def test_a_message_keeps_its_id() -> None:
    """So a receiver knows it again; another user's has another one."""
    other = Written("v", 7, "tokens.changed", {}, MESSAGE.created_at)
    assert message_id(MESSAGE) == message_id(MESSAGE) != message_id(other)


@pytest.mark.parametrize(
    ("behavior", "error"),
    [
        ("500", "answered 500"),
        ("404", "answered 404"),
        ("redirect", "answered 307: redirects are not followed"),
        ("hang", "no whole answer within 0.5 s"),
        ("slow", "no whole answer within 0.5 s"),
        ("cut", "no answer (RemoteProtocolError)"),
    ],
)
def test_whoever_misbehaves_is_told_later(behavior: str, error: str) -> None:
    """Within the time for one answer, and nobody is followed anywhere."""
    began = time.monotonic()
    with receiving(behavior=behavior, hang_seconds=1.0) as receiver:
        assert send(receiver.url, new_secret(), seconds=0.5).error == error
        assert receiver.attempts == 1
    assert time.monotonic() - began < 3
    assert receiver.ids == []


def test_of_an_endless_answer_the_status_counts() -> None:
    """Some of its body is read, and the connection is closed."""
    with receiving(behavior="endless") as receiver:
        assert send(receiver.url, new_secret()) == Answer(200)


def test_nobody_answers() -> None:
    """A closed port, and a name that nobody knows."""
    assert send("http://127.0.0.1:1/", new_secret()).error == "no answer (ConnectError)"

    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    sender = Sender(allow_private=True, resolve=unknown)
    assert send("http://nowhere/", new_secret(), sender=sender).error == "no answer (OSError)"


def test_another_address_is_tried_where_the_first_does_not_connect() -> None:
    """A name may have an address of a kind that this machine has no way to."""

    async def both(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.9", "127.0.0.1"]

    with receiving() as receiver:
        sender = Sender(allow_private=True, resolve=both)
        assert send(receiver.url, new_secret(), sender=sender).is_received


def test_what_a_name_says_on_the_second_look_does_not_count() -> None:
    """The address that was checked is the one that is connected to; there is no second look."""
    looks: list[str] = []

    async def rebinding(host: str, _port: int) -> Sequence[str]:
        looks.append(host)
        return ["127.0.0.1"] if len(looks) == 1 else ["169.254.169.254"]

    with receiving() as receiver:
        port = receiver.url.split(":")[2]
        sender = Sender(allow_private=True, resolve=rebinding)
        assert send(f"http://rebinding.example:{port}", new_secret(), sender=sender).is_received
        assert looks == ["rebinding.example"]
        sender = Sender(allow_private=True, resolve=rebinding)
        answer = send(f"http://rebinding.example:{port}", new_secret(), sender=sender)
        assert answer.error == "169.254.169.254 is no address that messages may be sent to"
        assert receiver.attempts == 1


def test_a_public_name_that_means_this_machine_on_the_second_look_is_refused() -> None:
    """As it was public when the destination was added, and at the attempt before."""
    looks = iter((["93.184.216.34"], ["127.0.0.1"], ["::1"], ["93.184.216.34", "10.0.0.1"]))

    async def rebinding(_host: str, _port: int) -> Sequence[str]:
        return next(looks)

    url = "https://rebinding.example/hooks"
    target = asyncio.run(target_of(url, rebinding, allow_private=False))
    assert target.addresses == ["93.184.216.34"]
    for address in ("127.0.0.1", "::1", "10.0.0.1"):
        sender = Sender(allow_private=False, resolve=rebinding)
        answer = send(url, new_secret(), sender=sender)
        assert answer.error == f"{address} is no address that messages may be sent to"


def test_this_machine_is_refused_unless_it_is_allowed() -> None:
    """Not even connected to."""
    with receiving() as receiver:
        url = receiver.url.replace("http:", "https:")
        sender = Sender(allow_private=False)
        answer = send(url, new_secret(), sender=sender)
        assert answer.error == "127.0.0.1 is no address that messages may be sent to"
        sender = Sender(allow_private=False)
        assert send(receiver.url, new_secret(), sender=sender).error.endswith("https:// only")
        assert receiver.attempts == 0


def test_the_body_is_what_is_signed() -> None:
    """Byte by byte, also what is not ASCII."""
    secret, body = new_secret(), MESSAGE.body()
    at = datetime.now(UTC)
    signature = Webhook(secret).sign("msg_1", at, body.decode())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }
    assert Webhook(secret).verify(body, headers) == orjson.loads(body)
