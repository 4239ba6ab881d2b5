"""A request as HTTP brings it, and what it needs to be looked at: a key, a version, a form."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.stripe.errors import invalid, no_access, no_form, unauthorised

# This account is a toy, so it takes any key that could be one of test mode.
_KEY = re.compile(r"Bearer ((?:sk|rk)_test_\w+)")
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(?:\.[a-z]+)?")
_OLDEST_VERSION = "2011-01-01"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as HTTP brought it; `headers` by name in small letters, `body` what is no form."""

    method: str
    path: str
    id: str
    pairs: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def is_json(self) -> bool:
        """Whether its part of the API takes and gives JSON, and no forms."""
        return self.path.startswith("/v2/")


def admit(asked: Asked, version: str, own_account: str) -> str:
    """Let a request in; returns its key. Raises `Refusal`."""
    key = _checked_key(asked.headers.get("authorization", ""))
    _check_version(version)
    _check_account(asked.headers.get("stripe-account", ""), own_account)
    _check_body(asked)
    return key


def _checked_key(header: str) -> str:
    if not header:
        raise unauthorised(
            "You did not provide an API key. You need to provide your API key in the "
            "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer sk_test_…')."
        )
    match = _KEY.fullmatch(_as_bearer(header))
    if match is None:
        raise unauthorised("Invalid API Key provided: the offline Stripe takes sk_test_… keys.")
    return match[1]


def _as_bearer(header: str) -> str:
    """What `curl -u sk_test_…:` sends, as a bearer of the same key; anything else as it is."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return header
    try:
        key, _, _ = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except ValueError:
        return header
    return f"Bearer {key}"


def _check_version(version: str) -> None:
    if not _VERSION.fullmatch(version) or version < _OLDEST_VERSION:
        raise invalid(f"Invalid Stripe API version: {version[:40]}")


def _check_body(asked: Asked) -> None:
    if asked.body and not asked.is_json:
        raise no_form()


def _check_account(named: str, own: str) -> None:
    if named not in ("", own):
        raise no_access(named)
