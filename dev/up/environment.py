"""`<data>/dev.env`: the addresses and secrets of a development run, for every other command.

What the environment or `.env` sets is never overridden, and no secret of theirs is copied here.
"""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from dev.up.files import write_private

FILE_NAME = "dev.env"
HEADER = "# Written by `manage.py up`. The environment and .env go before it. Not for production.\n"
# Where a frontend under development usually is.
FRONTENDS = "http://localhost:3000,http://localhost:5173"
PLAIN = re.compile(r"[\w:/@.,?&=%+{}\[\]~-]*")

# Kept from run to run once made, so that links, tokens and listeners stay good.
GENERATED: Mapping[str, Callable[[], str]] = {
    "STRIPE_WEBHOOK_SECRET": lambda: f"whsec_{secrets.token_hex(24)}",
    "JWT_SECRET": lambda: secrets.token_hex(32),
    "STRIPE_SUCCESS_URL": lambda: "http://localhost:3000/billing/success",
    "STRIPE_CANCEL_URL": lambda: "http://localhost:3000/billing/cancel",
    "STRIPE_PORTAL_RETURN_URL": lambda: "http://localhost:3000/billing",
    "ALLOWED_REDIRECT_ORIGINS": lambda: FRONTENDS,
    "CORS_ORIGINS": lambda: FRONTENDS,
    "DESTINATIONS_ALLOW_PRIVATE": lambda: "True",
}
# The keys of the offline Stripe, which stands in where no secret key is set.
OFFLINE: Mapping[str, Callable[[], str]] = {
    "STRIPE_SECRET_KEY": lambda: f"sk_test_offline{secrets.token_hex(12)}",
    "STRIPE_PUBLISHABLE_KEY": lambda: f"pk_test_offline{secrets.token_hex(12)}",
}
NO = frozenset({"0", "false", "no", "off"})
# A JWKS takes the place of a shared secret.
REPLACED_BY = {"JWT_SECRET": "JWT_JWKS_URL"}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a run's parts answer."""

    database_url: str
    redis_url: str
    host: str
    port: int
    offline_stripe_url: str = ""

    @property
    def base_url(self) -> str:
        """The receiver's address, as seen from this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104 - compared, not bound.
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def given() -> dict[str, str]:
    """What the environment and, behind it, `.env` in this directory set; empty counts as unset."""
    file = dotenv_values(".env", interpolate=False) if Path(".env").is_file() else {}
    return {name: value for name, value in {**file, **os.environ}.items() if value}


def wants_offline_stripe(present: Mapping[str, str]) -> bool:
    """Whether nothing names a Stripe to work with, and none is asked to be left out."""
    names_one = {"STRIPE_SECRET_KEY", "STRIPE_API_BASE"} & present.keys()
    declined = any(
        present.get(name, "").strip().lower() in NO
        for name in ("STRIPE_ENABLED", "STRIPE_TEST_MODE")
    )
    return not names_one and not declined


def write(directory: Path, addresses: Addresses) -> None:
    """Bring `dev.env` up to date: new addresses, secrets as they were, missing ones made."""
    path = directory / FILE_NAME
    kept = dotenv_values(path, interpolate=False) if path.is_file() else {}
    values = {
        "DATABASE_URL": addresses.database_url,
        "REDIS_URL": addresses.redis_url,
        "HOST": addresses.host,
        "PORT": str(addresses.port),
        "BASE_URL": addresses.base_url,
    }
    makers = GENERATED
    if addresses.offline_stripe_url:
        values["STRIPE_API_BASE"] = addresses.offline_stripe_url
        makers = {**GENERATED, **OFFLINE}
    present = given()
    for name, make in makers.items():
        replaced = name in present or REPLACED_BY.get(name) in present
        value = kept.get(name) or (None if replaced else make())
        if value:
            values[name] = value
    lines = (f"{name}={_quoted(value)}\n" for name, value in values.items())
    write_private(path, HEADER + "".join(lines))


def _quoted(value: str) -> str:
    if PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
