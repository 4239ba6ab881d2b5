"""What can go wrong with a call: exceptions with a stable `code` and a `detail` to read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

NOT_OK = 400
SERVER_FAILED = 500
# Another try soon may succeed.
PASSING = frozenset((502, 503, 504))
# A person has to act first, so that another try a moment later is wasted.
LASTING_CODES = frozenset(
    (
        "authentication_not_configured",
        "stripe_disabled",
        "stripe_key_refused",
        "stripe_refused",
    )
)


class FikoError(Exception):
    """Any failure of a call."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class UnexpectedAnswer(FikoError):
    """The answer is not what the API promises: something else may answer at this address."""

    def __init__(self, detail: str) -> None:
        super().__init__("unexpected_answer", detail)


class WebhookRefused(FikoError):
    """A webhook that nobody we trust has signed, or that is too old or too new."""

    def __init__(self, detail: str) -> None:
        super().__init__("webhook_refused", detail)


class ServiceAway(FikoError):
    """Nobody answered, or the service says that it cannot work now.

    `status` is None where no answer came. Whether the service did what it was asked is not known
    then; the same key asks again without doing it twice.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.status = status
        self.retry_after = retry_after

    @property
    def passes(self) -> bool:
        """Whether another try soon may succeed."""
        if self.status is None:
            return True
        return self.status in PASSING and self.code not in LASTING_CODES


class Problem(FikoError):
    """What the API refuses; `members` are the fields that this kind of problem adds."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        members: Mapping[str, object] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.status = status
        self.members = dict(members or {})
        self.retry_after = retry_after


class Unauthorized(Problem):
    """401: the token is missing, ended or not trusted."""


class Forbidden(Problem):
    """403: the token lacks a scope."""


class NotFound(Problem):
    """404: there is nothing of that name, or it is somebody else's."""


class Conflict(Problem):
    """409: it does not go with what is there already."""


class KeyReused(Conflict):
    """409: the Idempotency-Key was used for something else."""


class InvalidInput(Problem):
    """422: `errors` names each wrong field."""

    @property
    def errors(self) -> Mapping[str, object]:
        """What is wrong, by place and field."""
        errors = self.members.get("errors")
        return errors if isinstance(errors, Mapping) else {}


class RateLimited(Problem):
    """429: too many requests; `retry_after` says how many seconds to wait."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A package that would cover what is missing; `checkout` is the body for the checkout call.

    `amount` is its price in minor units of `currency`.
    """

    plan_id: int | None
    name: str | None
    tokens: int | None
    currency: str | None
    amount: int | None
    checkout: Mapping[str, object]


class InsufficientTokens(Problem):
    """402: the balance does not cover the amount."""

    @property
    def balance(self) -> int:
        """What there is."""
        return _whole(self.members.get("balance")) or 0

    @property
    def missing(self) -> int:
        """How many more are needed."""
        if "missing" in self.members:
            return _whole(self.members["missing"]) or 0
        return max(0, (_whole(self.members.get("amount")) or 0) - self.balance)

    @property
    def buy(self) -> tuple[Offer, ...]:
        """The packages that would cover it; empty where the service names none."""
        offers = self.members.get("buy")
        listed = offers if isinstance(offers, list) else []
        return tuple(_offer(each) for each in listed if isinstance(each, Mapping))


_BY_CODE: Mapping[str, type[Problem]] = {
    "insufficient_tokens": InsufficientTokens,
    "idempotency_key_reused": KeyReused,
}
_BY_STATUS: Mapping[int, type[Problem]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: InvalidInput,
    429: RateLimited,
}
_STANDARD = frozenset(("type", "title", "status", "detail", "code"))


def failure_of(status: int, headers: Mapping[str, str], body: bytes) -> FikoError:
    """The exception for an answer that is no success."""
    told = _parsed(body)
    code = str(told.get("code") or f"http_{status}")
    detail = str(told.get("detail") or told.get("title") or f"The answer was {status}.")
    retry_after = seconds_of(headers.get("retry-after"))
    if status >= SERVER_FAILED:
        return ServiceAway(code, detail, status=status, retry_after=retry_after)
    if status < NOT_OK:
        return UnexpectedAnswer(f"The answer was {status}, which no call of the API gives.")
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, Problem)
    members = {name: value for name, value in told.items() if name not in _STANDARD}
    return kind(status, code, detail, members=members, retry_after=retry_after)


def seconds_of(retry_after: str | None) -> float | None:
    """A Retry-After header, a number or a date, as seconds from now."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _parsed(body: bytes) -> Mapping[str, object]:
    try:
        told = json.loads(body)
    except ValueError:  # A proxy's page, or nothing at all.
        return {}
    return told if isinstance(told, dict) else {}


def _offer(told: Mapping[str, object]) -> Offer:
    checkout = told.get("checkout")
    plan_id, tokens, amount = (_whole(told.get(each)) for each in ("plan_id", "tokens", "amount"))
    name, currency = (_text(told.get(each)) for each in ("name", "currency"))
    body = checkout if isinstance(checkout, Mapping) else {}
    return Offer(plan_id, name, tokens, currency, amount, body)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
