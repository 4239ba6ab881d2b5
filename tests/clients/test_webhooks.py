"""A webhook is believed by its signature, after Standard Webhooks, and by nothing else."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from db.outbox.messages import Written
from fiko_client import UnexpectedAnswer, WebhookRefused, verify_webhook
from workers.hearing.sending import message_id
from workers.hearing.sending import signed as signed_by_product

SECRET = f"whsec_{base64.b64encode(b'a secret of thirty-two bytes now').decode()}"
OTHER = f"whsec_{base64.b64encode(b'another one that is just as long').decode()}"
MESSAGE = {
    "type": "tokens.changed",
    "user": "user_1",
    "version": 7,
    "created_at": "2026-03-01T00:00:09+00:00",
    "data": {"balance": 12, "updated_at": None},
}
BODY = json.dumps(MESSAGE).encode()


def signed(body: bytes = BODY, secret: str = SECRET, age: float = 0) -> dict[str, str]:
    """The headers of a delivery that was signed `age` seconds ago."""
    moment = datetime.now(UTC) - timedelta(seconds=age)
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(moment.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("msg_1", moment, body.decode()),
    }


@pytest.mark.parametrize("age", [0, 290, -290])
def test_a_signed_message_is_read(age: float) -> None:
    """Within 300 s of now, whatever case the headers are in."""
    headers = {name.lower(): value for name, value in signed(age=age).items()}
    for given in (signed(age=age), headers):
        message = verify_webhook(given, BODY, SECRET)
        assert (message.type, message.user, message.version) == ("tokens.changed", "user_1", 7)
        assert message.data == {"balance": 12, "updated_at": None}
        assert message.created_at == datetime(2026, 3, 1, 0, 0, 9, tzinfo=UTC)


@pytest.mark.parametrize("secrets", [[OTHER, SECRET], [SECRET, OTHER], (SECRET,)])
def test_during_a_rotation_two_secrets_serve(secrets: Any) -> None:
    """In any order; and a delivery may carry two signatures."""
    assert verify_webhook(signed(), BODY, secrets).version == 7
    both = signed()
    both["Webhook-Signature"] = (
        f"v2,x {signed(secret=OTHER)['Webhook-Signature']} {both['Webhook-Signature']}"
    )
    assert verify_webhook(both, BODY, SECRET).version == 7


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({}, BODY + b" "),
        ({}, b"\xff"),
        ({"Webhook-Id": "msg_2"}, BODY),
        ({"Webhook-Id": ""}, BODY),
        ({"Webhook-Timestamp": "soon"}, BODY),
        ({"Webhook-Timestamp": "nan"}, BODY),
        ({"Webhook-Timestamp": "1e400"}, BODY),
        ({"Webhook-Signature": ""}, BODY),
        ({"Webhook-Signature": "v1"}, BODY),
        ({"Webhook-Signature": "v1,a,b"}, BODY),
        ({"Webhook-Signature": "v1,!"}, BODY),
        ({"Webhook-Signature": "v1,\N{LATIN SMALL LETTER E WITH ACUTE}"}, BODY),
    ],
)
def test_anything_else_is_refused(change: Mapping[str, str], body: bytes) -> None:
    """By one exception, however it is wrong."""
    with pytest.raises(WebhookRefused):
        verify_webhook({**signed(), **change}, body, SECRET)


def test_what_the_product_sends_is_read() -> None:
    """As it is signed and sent, during a rotation too."""
    created_at = datetime(2026, 3, 1, 0, 0, 9, 120, tzinfo=UTC)
    sent = Written("user_1", 7, "tokens.changed", {"balance": 12}, created_at)
    body = sent.body()
    headers = signed_by_product(message_id(sent), body, [OTHER, SECRET], datetime.now(UTC))
    for secret in (SECRET, OTHER):
        message = verify_webhook(headers, body, secret)
        assert (message.type, message.user, message.version, message.data) == (
            "tokens.changed",
            "user_1",
            7,
            {"balance": 12},
        )
        assert message.created_at == created_at


@pytest.mark.parametrize("age", [310, -310])
def test_a_signature_is_good_for_five_minutes(age: float) -> None:
    """Who kept a delivery cannot send it again later, and a clock may not run ahead."""
    with pytest.raises(WebhookRefused):
        verify_webhook(signed(age=age), BODY, SECRET)


def test_another_secret_is_none_of_ours() -> None:
    """However well it signs."""
    with pytest.raises(WebhookRefused):
        verify_webhook(signed(secret=OTHER), BODY, SECRET)


def test_without_headers_nothing_is_believed() -> None:
    """None of the three is there."""
    with pytest.raises(WebhookRefused):
        verify_webhook({}, BODY, SECRET)


def test_without_a_secret_nothing_is_verified() -> None:
    """No list of none is taken for a yes."""
    with pytest.raises(ValueError, match="no secret"):
        verify_webhook(signed(), BODY, [])


@pytest.mark.parametrize("body", [b"[1]", b'{"type": "tokens.changed"}'])
def test_what_is_signed_and_no_message_says_so(body: bytes) -> None:
    """It comes from us, and is not what we promise."""
    with pytest.raises(UnexpectedAnswer):
        verify_webhook(signed(body), body, SECRET)
