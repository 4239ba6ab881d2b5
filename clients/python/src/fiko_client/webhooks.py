"""Checks the webhooks that Fiko Billing sends, after Standard Webhooks."""

from collections.abc import Iterable, Mapping
from typing import Any

from fiko_client.errors import WebhookRefused
from fiko_client.models import Message, read


def verify_webhook(
    headers: Mapping[str, str], body: bytes | str, secrets: str | Iterable[str]
) -> Message:
    """The message of a webhook that one of the secrets has signed within 300 s of now.

    `body` is the request's raw body: what was parsed and written again has another signature.
    Several secrets serve during a rotation. Raises `WebhookRefused` for anything else. The same
    message may come twice, so act on `version`: what is not newer is known already.
    """
    try:
        from standardwebhooks import Webhook  # noqa: PLC0415 - an extra.
    except ImportError as error:
        raise RuntimeError("install fiko-client[webhooks] to verify webhooks") from error
    given = [secrets] if isinstance(secrets, str) else list(secrets)
    if not given:
        raise ValueError("no secret, so nothing can be verified")
    sent = {name.lower(): value for name, value in headers.items()}
    refusal: Exception | None = None
    for webhook in [Webhook(secret) for secret in given]:
        try:
            told = webhook.verify(body, sent)
        except Exception as error:  # noqa: BLE001 - what strangers send breaks it in many ways.
            refusal = error
        else:
            return _message(told)
    raise WebhookRefused("No secret of ours has signed this within 300 s of now.") from refusal


def _message(told: Any) -> Message:  # noqa: ANN401 - any JSON.
    return read(Message, told)
