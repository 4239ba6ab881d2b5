"""The product's settings, read once and checked as a whole; the only reader of the environment.

Every problem is reported at once, by the variable's name and with the fix. A value is never part
of a message, because it may be a secret. Nothing here connects to anything.
"""

import ipaddress
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from dotenv import dotenv_values

# HS256 with a shorter key than its hash can be guessed offline (RFC 7518, section 3.2).
JWT_SECRET_BYTES_MIN = 32
DATABASE_DRIVER = "postgresql+psycopg2"

# Even weeks of so many digits are a time that PostgreSQL can add to now.
_DIGITS_MAX = 7
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

# As each of the libraries that ask something over HTTP spells this machine.
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1", "[::1]")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

# What to write where a variable is needed and missing.
_EXAMPLES = {
    "DATABASE_URL": "postgresql://user:password@host:5432/database",
    "REDIS_URL": "redis://host:6379/0",
    "CELERY_BROKER_URL": "redis://host:6379/0 or amqp://user:password@host:5672//",
    "STRIPE_PUBLISHABLE_KEY": "the pk_… key of your Stripe dashboard",
    "STRIPE_SECRET_KEY": "the sk_… or rk_… key of your Stripe dashboard",
    "STRIPE_WEBHOOK_SECRET": "the whsec_… secret of your Stripe webhook endpoint",
    "JWT_SECRET": f"a random string of at least {JWT_SECRET_BYTES_MIN} bytes",
}
_VARIABLES = {"stripe_webhook_secrets": "STRIPE_WEBHOOK_SECRET", "data_dir": "BILLING_DATA"}


class SettingsError(Exception):
    """The settings are wrong; the message lists every problem and its fix, one a line."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured. Unset strings are empty; what is secret has no repr."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    celery_broker_url: str = field(repr=False)
    intake: str
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
    settings = _read(_Reader(values, problems))
    _require(settings, needs, values, problems)
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def ask_loopback_directly() -> None:
    """See to it that this process, and those it starts, ask this machine through no proxy.

    A proxy is for the world outside: asked for an address of this machine it looks for it on its
    own. Call it before anything is asked over HTTP. Without a proxy nothing is changed.
    """
    named = {name.upper() for name, value in os.environ.items() if value}
    if not {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} & named:
        return
    # The libraries look at the small name first; a person may have set either.
    told = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if told.strip() == "*":
        return
    words = [word.strip() for word in told.split(",") if word.strip()]
    words += [name for name in _LOOPBACK_NAMES if name not in words]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(words)


def variable(field_name: str) -> str:
    """The name of the environment variable behind a field of `Settings`."""
    return _VARIABLES.get(field_name, field_name.upper())


def seconds_of(word: str) -> int | None:
    """A length of time such as `90s`, `10m`, `6h`, `3d`, `2w`, in seconds; None for other words.

    A bare number is seconds.
    """
    number, unit = (word[:-1], word[-1]) if word[-1:] in _UNIT_SECONDS else (word, "s")
    if not (number.isascii() and number.isdigit() and len(number) <= _DIGITS_MAX):
        return None
    return int(number) * _UNIT_SECONDS[unit]


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
            example = _EXAMPLES.get(shown, "a value")
            problems.append(
                f"{shown} is not set: set it to {example}, in the environment or in .env"
                " (`python3 manage.py up` writes one for development)."
            )


def _read(reader: "_Reader") -> Settings:
    redis_url = reader.connection("REDIS_URL", "redis", "rediss", "unix")
    broker_url = reader.connection("CELERY_BROKER_URL", *_BROKER_SCHEMES)
    test_mode = reader.flag("STRIPE_TEST_MODE", default=True)
    return Settings(
        database_url=reader.database("DATABASE_URL"),
        redis_url=redis_url,
        celery_broker_url=broker_url or redis_url,
        intake=reader.choice("INTAKE", "auto", "stream", "inbox"),
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


_BROKER_SCHEMES = ("redis", "rediss", "unix", "amqp", "amqps")


class _Reader:
    """Takes values out by name; what is wrong goes to `problems` and reads as unset."""

    def __init__(self, values: Mapping[str, str], problems: list[str]) -> None:
        self._values = values
        self._problems = problems

    def text(self, name: str, *, default: str = "") -> str:
        return self._values.get(name, default)

    def flag(self, name: str, *, default: bool) -> bool:
        word = self.text(name).lower()
        known = word in _TRUE | _FALSE | {""}
        return word in _TRUE if self._ok(name, "True or False", known=known) and word else default

    def choice(self, name: str, default: str, *others: str) -> str:
        word = self.text(name, default=default).lower()
        known = word in (default, *others)
        return word if self._ok(name, " or ".join((default, *others)), known=known) else default

    def number(
        self, name: str, wanted: str, *, default: int, lowest: int = 0, highest: int = 65_535
    ) -> int:
        word = self.text(name, default=str(default))
        is_number = word.isascii() and word.isdigit() and len(word) <= len(str(highest))
        known = is_number and lowest <= int(word) <= highest
        return int(word) if self._ok(name, wanted, known=known) else default

    def duration(self, name: str, *, default: str) -> int:
        seconds = seconds_of(self.text(name, default=default))
        self._ok(name, "a time above zero such as 90s, 10m, 6h or 1d", known=bool(seconds))
        return seconds or 0

    def delays(self, name: str, *, default: str) -> tuple[int, ...]:
        words = self.text(name, default=default).split(",")
        found = [seconds_of(word.strip()) for word in words]
        self._ok(name, "comma-separated times such as 10s,1m,1h", known=None not in found)
        return tuple(seconds for seconds in found if seconds is not None)

    def account(self, name: str) -> str:
        word = self.text(name)
        known = not word or (word.startswith("acct_") and word[5:].isalnum() and word.isascii())
        wanted = "the id of a Stripe account, which begins with acct_"
        return word if self._ok(name, wanted, known=known) else ""

    def currency(self, name: str, *, default: str) -> str:
        word = self.text(name, default=default).lower()
        known = len(word) == len(default) and word.isascii() and word.isalpha()
        return word if self._ok(name, "a three-letter code such as usd", known=known) else default

    def connection(self, name: str, *schemes: str) -> str:
        wanted = "a URL that begins with " + " or ".join(f"{scheme}://" for scheme in schemes)
        return self._checked(name, wanted, lambda url: url.scheme in schemes)

    def database(self, name: str) -> str:
        wanted = f"a URL like {_EXAMPLES['DATABASE_URL']}"
        schemes = ("postgresql", "postgres", DATABASE_DRIVER)
        url = self._checked(name, wanted, lambda url: url.scheme in schemes)
        # A bare postgresql:// means another driver to SQLAlchemy 2.1.
        return f"{DATABASE_DRIVER}://{url.partition('://')[2]}" if url else ""

    def web_url(self, name: str) -> str:
        return self._checked(name, "an absolute http(s) URL", _is_web_url)

    def trusted_url(self, name: str) -> str:
        """Of a place whose answers are believed: nobody on the way may write them."""
        wanted = "an https:// URL (http:// only to this machine: localhost, 127.0.0.1, [::1])"
        return self._checked(name, wanted, _is_trusted_url)

    def key(self, name: str, test_mode: bool, *prefixes: str) -> str:  # noqa: FBT001 - private, and the call sites name the variable they pass.
        key = self.text(name)
        wanted = f"a key that begins with {' or '.join(prefixes)}"
        if not key or not self._ok(name, wanted, known=key.startswith(prefixes)):
            return ""
        other_mode = tuple(f"{prefix}{'live' if test_mode else 'test'}_" for prefix in prefixes)
        wanted = f"a {'test' if test_mode else 'live'} key (or STRIPE_TEST_MODE must change)"
        return key if self._ok(name, wanted, known=not key.startswith(other_mode)) else ""

    def webhook_secrets(self, name: str) -> tuple[str, ...]:
        secrets = self._list(name)
        known = all(secret.startswith("whsec_") for secret in secrets)
        wanted = "one or more comma-separated secrets that begin with whsec_"
        return secrets if self._ok(name, wanted, known=known) else ()

    def jwt_secret(self, name: str) -> str:
        secret = self.text(name)
        known = not secret or len(secret.encode()) >= JWT_SECRET_BYTES_MIN
        return secret if self._ok(name, _EXAMPLES["JWT_SECRET"], known=known) else ""

    def origins(self, name: str, *, any_allowed: bool = False) -> tuple[str, ...]:
        words = tuple(word.rstrip("/").lower() for word in self._list(name))
        if any_allowed and words == ("*",):
            return words
        known = all(_is_origin(word) for word in words)
        wanted = "comma-separated origins such as https://app.example.com, without a path"
        return words if self._ok(name, wanted, known=known) else ()

    def _list(self, name: str) -> tuple[str, ...]:
        return tuple(word for part in self.text(name).split(",") if (word := part.strip()))

    def _checked(self, name: str, wanted: str, accepts: Callable[[SplitResult], bool]) -> str:
        value = self.text(name)
        known = not value or _parses(value, accepts)
        return value if self._ok(name, wanted, known=known) else ""

    def _ok(self, name: str, wanted: str, *, known: bool) -> bool:
        if not known:
            self._problems.append(f"{name} is wrong: it must be {wanted}.")
        return known


def _parses(value: str, accepts: Callable[[SplitResult], bool]) -> bool:
    try:
        url = urlsplit(value)
        # Reading the port is what checks it.
        return (url.port is None or url.port > 0) and "://" in value and accepts(url)
    except ValueError:
        return False


def _is_web_url(url: SplitResult) -> bool:
    return url.scheme in ("http", "https") and bool(url.hostname)


def _is_trusted_url(url: SplitResult) -> bool:
    return _is_web_url(url) and (url.scheme == "https" or _is_loopback(url.hostname or ""))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_origin(word: str) -> bool:
    def accepts(url: SplitResult) -> bool:
        return _is_web_url(url) and word == f"{url.scheme}://{url.netloc}" and "@" not in url.netloc

    return "\\" not in word and _parses(word, accepts)
