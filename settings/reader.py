"""Reads variables by name, each as one kind of value, and collects what is wrong with them."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult

from settings import sentinel, urls
from settings.hosts import with_hosts_in_query

# HS256 with a shorter key than its hash can be guessed offline (RFC 7518, section 3.2).
JWT_SECRET_BYTES_MIN = 32
DATABASE_DRIVER = "postgresql+psycopg2"

# Even weeks of so many digits are a time that PostgreSQL can add to now.
_DIGITS_MAX = 7
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

# What to write where a variable is needed and missing.
EXAMPLES = {
    "DATABASE_URL": (
        "postgresql://user:password@host:5432/database (several hosts: @host1:5432,host2:5432/)"
    ),
    "REDIS_URL": "redis://host:6379/0",
    "SENTINELS": "redis+sentinel://user:password@host1:26379,host2,host3/name/0",
    "CELERY_BROKER_URL": "redis://host:6379/0 or amqp://user:password@host:5672//",
    "STRIPE_PUBLISHABLE_KEY": "the pk_… key of your Stripe dashboard",
    "STRIPE_SECRET_KEY": "the sk_… or rk_… key of your Stripe dashboard",
    "STRIPE_WEBHOOK_SECRET": "the whsec_… secret of your Stripe webhook endpoint",
    "JWT_SECRET": f"a random string of at least {JWT_SECRET_BYTES_MIN} bytes",
}


def seconds_of(word: str) -> int | None:
    """A length of time such as `90s`, `10m`, `6h`, `3d`, `2w`, in seconds; None for other words.

    A bare number is seconds.
    """
    number, unit = (word[:-1], word[-1]) if word[-1:] in _UNIT_SECONDS else (word, "s")
    if not (number.isascii() and number.isdigit() and len(number) <= _DIGITS_MAX):
        return None
    return int(number) * _UNIT_SECONDS[unit]


# What else is copied from the dashboard, told by its beginning alone.
_KEYS = {
    "pk_": "the publishable key",
    "sk_": "a secret key",
    "rk_": "a restricted key",
    "whsec_": "the secret of a webhook endpoint",
}


class Reader:
    """Takes values out by name; what is wrong goes to `problems` and reads as unset."""

    def __init__(self, values: Mapping[str, str], problems: list[str]) -> None:
        self._values = values
        self._problems = problems

    def text(self, name: str, *, default: str = "") -> str:
        """A text as it is, stripped."""
        return self._values.get(name, default)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or False, also as yes, on, 1 and their opposites."""
        word = self.text(name).lower()
        is_valid = word in _TRUE | _FALSE | {""}
        if not self._ok(name, "True or False", is_valid=is_valid) or not word:
            return default
        return word in _TRUE

    def choice(self, name: str, default: str, *others: str) -> str:
        """One of these words, in small letters."""
        word = self.text(name, default=default).lower()
        words = (default, *others)
        return word if self._ok(name, " or ".join(words), is_valid=word in words) else default

    def number(
        self, name: str, wanted: str, *, default: int, lowest: int = 0, highest: int = 65_535
    ) -> int:
        """A whole number within these bounds."""
        word = self.text(name, default=str(default))
        is_number = word.isascii() and word.isdigit() and len(word) <= len(str(highest))
        is_valid = is_number and lowest <= int(word) <= highest
        return int(word) if self._ok(name, wanted, is_valid=is_valid) else default

    def share(self, name: str, *, default: str) -> float:
        """A share of something, from 0 to 1."""
        word = self.text(name, default=default)
        is_share = re.fullmatch(r"(0(\.[0-9]{1,6})?|1(\.0{1,6})?)", word) is not None
        return float(word if self._ok(name, "a share from 0 to 1", is_valid=is_share) else default)

    def duration(self, name: str, *, default: str) -> int:
        """A length of time in seconds; zero where it is wrong."""
        seconds = seconds_of(self.text(name, default=default))
        self._ok(name, "a time above zero such as 90s, 10m, 6h or 1d", is_valid=bool(seconds))
        return seconds or 0

    def delays(self, name: str, *, default: str) -> tuple[int, ...]:
        """Lengths of time in seconds."""
        words = self.text(name, default=default).split(",")
        times = [seconds_of(word.strip()) for word in words]
        self._ok(name, "comma-separated times such as 10s,1m,1h", is_valid=None not in times)
        return tuple(seconds for seconds in times if seconds is not None)

    def account(self, name: str) -> str:
        """The id of a Stripe account."""
        word = self.text(name)
        is_valid = not word or (word.startswith("acct_") and word[5:].isalnum() and word.isascii())
        wanted = "the id of a Stripe account, which begins with acct_"
        return word if self._ok(name, wanted, is_valid=is_valid) else ""

    def currency(self, name: str, *, default: str) -> str:
        """A currency code, in small letters."""
        word = self.text(name, default=default).lower()
        is_valid = len(word) == len(default) and word.isascii() and word.isalpha()
        wanted = "a three-letter code such as usd"
        return word if self._ok(name, wanted, is_valid=is_valid) else default

    def connection(self, name: str, *schemes: str) -> str:
        """A URL with one of these schemes."""
        if sentinel.SCHEME in schemes and sentinel.is_sentinel(self.text(name)):
            return self._sentinels(name)
        wanted = "a URL that begins with " + " or ".join(f"{scheme}://" for scheme in schemes)
        return self._checked(name, wanted, lambda url: url.scheme in schemes)

    def _sentinels(self, name: str) -> str:
        url = self.text(name)
        try:
            sentinel.parse(url)
        except ValueError as error:
            self._ok(name, f"a URL like {EXAMPLES['SENTINELS']}, and {error}", is_valid=False)
            return ""
        return url

    def database(self, name: str) -> str:
        """The URL of a PostgreSQL database, with the driver that we use."""
        wanted = f"a URL like {EXAMPLES['DATABASE_URL']}"
        schemes = ("postgresql", "postgres", DATABASE_DRIVER)
        value = self.text(name)
        try:
            url = with_hosts_in_query(value)
        except ValueError:
            url = "no URL"
        is_valid = not value or urls.parses(url, lambda url: url.scheme in schemes)
        if not self._ok(name, wanted, is_valid=is_valid) or not value:
            return ""
        # A bare postgresql:// means another driver to SQLAlchemy 2.1.
        return f"{DATABASE_DRIVER}://{url.partition('://')[2]}"

    def brokers(self, name: str, *schemes: str) -> str:
        """The URL of a broker with one of these schemes; RabbitMQs may be several, with a `;`."""
        words = [word.strip() for word in self.text(name).split(";")]
        if len(words) == 1:
            return self.connection(name, *schemes)
        wanted = "one URL, or several that begin with amqp:// or amqps://, separated by ;"
        is_valid = all(
            urls.parses(word, lambda url: url.scheme in ("amqp", "amqps")) for word in words
        )
        return ";".join(words) if self._ok(name, wanted, is_valid=is_valid) else ""

    def web_url(self, name: str) -> str:
        """An address that a browser can go to."""
        return self._checked(name, "an absolute http(s) URL", urls.is_web_url)

    def trusted_url(self, name: str) -> str:
        """The URL of a place whose answers are believed: nobody on the way may write them."""
        wanted = "an https:// URL (http:// only to this machine: localhost, 127.0.0.1, [::1])"
        return self._checked(name, wanted, urls.is_trusted_url)

    def key(self, name: str, test_mode: bool, *prefixes: str) -> str:  # noqa: FBT001 - the call sites name the variable they pass.
        """A Stripe key that begins so and fits the mode."""
        key = self.text(name)
        wanted = f"a key that begins with {' or '.join(prefixes)}"
        if not key.startswith(prefixes):
            kind = next((words for start, words in _KEYS.items() if key.startswith(start)), "")
            wanted += f"; this is {kind}" if kind else ""
        if not key or not self._ok(name, wanted, is_valid=key.startswith(prefixes)):
            return ""
        other_mode = tuple(f"{prefix}{'live' if test_mode else 'test'}_" for prefix in prefixes)
        wanted = f"a {'test' if test_mode else 'live'} key (or STRIPE_TEST_MODE must change)"
        return key if self._ok(name, wanted, is_valid=not key.startswith(other_mode)) else ""

    def webhook_secrets(self, name: str) -> tuple[str, ...]:
        """Stripe's webhook secrets."""
        secrets = self._list(name)
        is_valid = all(secret.startswith("whsec_") for secret in secrets)
        wanted = "one or more comma-separated secrets that begin with whsec_"
        return secrets if self._ok(name, wanted, is_valid=is_valid) else ()

    def jwt_secret(self, name: str) -> str:
        """A secret to check tokens with, long enough for its hash."""
        secret = self.text(name)
        is_valid = not secret or len(secret.encode()) >= JWT_SECRET_BYTES_MIN
        return secret if self._ok(name, EXAMPLES["JWT_SECRET"], is_valid=is_valid) else ""

    def origins(self, name: str, *, any_allowed: bool = False) -> tuple[str, ...]:
        """Origins of web pages; `*` for all where `any_allowed`."""
        words = tuple(word.rstrip("/").lower() for word in self._list(name))
        if any_allowed and words == ("*",):
            return words
        is_valid = all(urls.is_origin(word) for word in words)
        wanted = "comma-separated origins such as https://app.example.com, without a path"
        return words if self._ok(name, wanted, is_valid=is_valid) else ()

    def _list(self, name: str) -> tuple[str, ...]:
        return tuple(word for part in self.text(name).split(",") if (word := part.strip()))

    def _checked(self, name: str, wanted: str, accepts: Callable[[SplitResult], bool]) -> str:
        value = self.text(name)
        is_valid = not value or urls.parses(value, accepts)
        return value if self._ok(name, wanted, is_valid=is_valid) else ""

    def _ok(self, name: str, wanted: str, *, is_valid: bool) -> bool:
        if not is_valid:
            self._problems.append(f"{name} is wrong: it must be {wanted}.")
        return is_valid
