"""Loads the settings: from the environment, from `.env`, from the file that `up` writes."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from settings import sentinel
from settings.reader import EXAMPLES, Reader

_REDIS_SCHEMES = ("redis", "rediss", "unix", sentinel.SCHEME)
_BROKER_SCHEMES = (*_REDIS_SCHEMES, "amqp", "amqps")

# The highest number that a frame can name, so every dictionary is allowed.
DICTIONARY_MAX = 2**31 - 1

_VARIABLES = {"stripe_webhook_secrets": "STRIPE_WEBHOOK_SECRET", "data_dir": "BILLING_DATA"}


class SettingsError(Exception):
    """The settings are wrong; the message lists every problem and its fix, one a line."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured. Unset strings are empty; what is secret has no repr."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    celery_broker_url: str = field(repr=False)
    redis_copies: int
    database_copies: int
    database_pooler: bool
    celery_queue_type: str
    intake: str
    body_dictionary: int
    stripe_enabled: bool
    stripe_test_mode: bool
    stripe_publishable_key: str
    stripe_secret_key: str = field(repr=False)
    stripe_webhook_secrets: tuple[str, ...] = field(repr=False)
    stripe_api_base: str
    stripe_account: str
    stripe_currency: str
    stripe_success_url: str
    stripe_cancel_url: str
    stripe_portal_return_url: str
    trials: str
    stripe_questions_per_second: int
    low_balance: float
    destinations_allow_private: bool
    jwt_secret: str = field(repr=False)
    jwt_jwks_url: str
    jwt_audience: str
    jwt_issuer: str
    allowed_redirect_origins: tuple[str, ...]
    cors_origins: tuple[str, ...]
    retry_delays_seconds: tuple[int, ...]
    reconcile_every_seconds: int
    log_format: str
    log_level: str
    host: str
    port: int
    metrics_port: int
    trusted_proxies: int
    data_dir: Path


def load(needs: Collection[str] = (), environ: Mapping[str, str] | None = None) -> Settings:
    """The settings from the environment, else from `.env`, else from `<data>/dev.env`.

    `needs` names the fields that this process cannot do without. Raises `SettingsError`, which
    lists everything that is wrong or missing. An empty variable counts as not set.
    """
    problems: list[str] = []
    values = _gather(os.environ if environ is None else environ, problems)
    settings = _read(Reader(values, problems))
    _require(settings, needs, values, problems)
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def variable(field_name: str) -> str:
    """The name of the environment variable behind a field of `Settings`."""
    return _VARIABLES.get(field_name, field_name.upper())


def _gather(environ: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    values = _read_file(Path(".env"), problems) | _set(environ)
    data_dir = Path(values.get("BILLING_DATA", ".data"))
    return _read_file(data_dir / "dev.env", problems) | values


def _read_file(path: Path, problems: list[str]) -> dict[str, str]:
    try:
        # A secret may hold a dollar sign, so nothing is interpolated.
        return _set(dotenv_values(path, interpolate=False)) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        problems.append(f"{path} cannot be read: {reason}. Mend or remove it.")
        return {}


def _set(values: Mapping[str, str | None]) -> dict[str, str]:
    stripped = {name: (value or "").strip() for name, value in values.items()}
    return {name: value for name, value in stripped.items() if value}


def _require(
    settings: Settings, needs: Collection[str], values: Mapping[str, str], problems: list[str]
) -> None:
    for name in needs:
        shown = variable(name)
        # A variable that is set and still empty here has been complained of already.
        if not getattr(settings, name) and shown not in values:
            example = EXAMPLES.get(shown, "a value")
            problems.append(
                f"{shown} is not set: set it to {example}, in the environment or in .env"
                " (`python3 manage.py up` writes one for development)."
            )


def _read(reader: Reader) -> Settings:
    redis_url = reader.connection("REDIS_URL", *_REDIS_SCHEMES)
    broker_url = reader.brokers("CELERY_BROKER_URL", *_BROKER_SCHEMES)
    test_mode = reader.flag("STRIPE_TEST_MODE", default=True)
    return Settings(
        database_url=reader.database("DATABASE_URL"),
        redis_url=redis_url,
        celery_broker_url=broker_url or redis_url,
        redis_copies=reader.number("REDIS_COPIES", "from 0 to 9", default=0, highest=9),
        database_copies=reader.number("DATABASE_COPIES", "from 0 to 9", default=0, highest=9),
        database_pooler=reader.flag("DATABASE_POOLER", default=False),
        celery_queue_type=reader.choice("CELERY_QUEUE_TYPE", "quorum", "classic"),
        intake=reader.choice("INTAKE", "auto", "stream", "inbox"),
        body_dictionary=reader.number(
            "BODY_DICTIONARY",
            "the number of a dictionary, or 0 for none",
            default=DICTIONARY_MAX,
            highest=DICTIONARY_MAX,
        ),
        stripe_enabled=reader.flag("STRIPE_ENABLED", default=True),
        stripe_test_mode=test_mode,
        stripe_publishable_key=reader.key("STRIPE_PUBLISHABLE_KEY", test_mode, "pk_"),
        stripe_secret_key=reader.key("STRIPE_SECRET_KEY", test_mode, "sk_", "rk_"),
        stripe_webhook_secrets=reader.webhook_secrets("STRIPE_WEBHOOK_SECRET"),
        stripe_api_base=reader.trusted_url("STRIPE_API_BASE").rstrip("/"),
        stripe_account=reader.account("STRIPE_ACCOUNT"),
        stripe_currency=reader.currency("STRIPE_CURRENCY", default="usd"),
        stripe_success_url=reader.web_url("STRIPE_SUCCESS_URL"),
        stripe_cancel_url=reader.web_url("STRIPE_CANCEL_URL"),
        stripe_portal_return_url=reader.web_url("STRIPE_PORTAL_RETURN_URL"),
        trials=reader.choice("TRIALS", "once", "per_plan"),
        stripe_questions_per_second=reader.number(
            "STRIPE_QUESTIONS_PER_SECOND", "from 1 to 500", default=20, lowest=1, highest=500
        ),
        low_balance=reader.share("LOW_BALANCE", default="0.1"),
        destinations_allow_private=reader.flag("DESTINATIONS_ALLOW_PRIVATE", default=False),
        jwt_secret=reader.jwt_secret("JWT_SECRET"),
        jwt_jwks_url=reader.trusted_url("JWT_JWKS_URL"),
        jwt_audience=reader.text("JWT_AUDIENCE"),
        jwt_issuer=reader.text("JWT_ISSUER"),
        allowed_redirect_origins=reader.origins("ALLOWED_REDIRECT_ORIGINS"),
        cors_origins=reader.origins("CORS_ORIGINS", any_allowed=True),
        retry_delays_seconds=reader.delays("RETRY_DELAYS", default="10s,1m,10m,1h,6h"),
        reconcile_every_seconds=reader.duration("RECONCILE_EVERY", default="10m"),
        log_format=reader.choice("LOG_FORMAT", "json", "console"),
        log_level=reader.choice("LOG_LEVEL", "info", "debug", "warning", "error"),
        host=reader.text("HOST", default="127.0.0.1"),
        port=reader.number("PORT", "a port from 1 to 65535", default=8000, lowest=1),
        metrics_port=reader.number("METRICS_PORT", "a port, or 0 for none", default=0),
        trusted_proxies=reader.number("TRUSTED_PROXIES", "from 0 to 9", default=0, highest=9),
        data_dir=Path(reader.text("BILLING_DATA", default=".data")),
    )
