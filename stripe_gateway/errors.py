"""How Stripe can fail to do what it was asked for; no error here holds a secret."""

import re
from collections.abc import Mapping
from http import HTTPStatus

import stripe


class StripeUnavailable(Exception):  # noqa: N818 - it says what is the case.
    """Stripe did not answer, or refused; `detail` says which, without any secret.

    `request_id` is Stripe's name for the request, `code` Stripe's name for the error, both None
    where it gave none. After an `indeterminate` one, what was asked may have happened. One that is
    `by_proxy` never came to Stripe: the proxy that the environment names did not let it through.
    """

    def __init__(self, error: stripe.StripeError) -> None:
        body = error.error
        self.request_id = error.request_id
        self.status = error.http_status
        self.code: str | None = getattr(body, "code", None)
        self.param: str | None = getattr(body, "param", None)
        self.indeterminate = self.status is None or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self.by_proxy = _is_of_proxy(error)
        answer = f"HTTP {self.status or 'no answer'}"
        answer = "no way through the proxy" if self.by_proxy else answer
        self.detail = f"{type(error).__name__}, {answer}"
        super().__init__(f"Stripe could not be asked: {self.detail}.")


class StripeSilent(StripeUnavailable):
    """Stripe did not answer in the time that the one who asked had; it may answer yet."""

    def __init__(self) -> None:
        error = stripe.APIConnectionError("no answer")  # type: ignore[no-untyped-call]  # As it is.
        super().__init__(error)


class StripeMissing(StripeUnavailable):
    """Stripe answered that there is no such object for this key."""

    @classmethod
    def unnamed(cls) -> "StripeMissing":
        """Nothing names what would have to be asked for."""
        message = "nothing names it"
        error = stripe.InvalidRequestError(message, None, http_status=HTTPStatus.NOT_FOUND)  # type: ignore[no-untyped-call]  # As it is.
        return cls(error)


class StripeBusy(StripeUnavailable):
    """Stripe answered that it is asked too often; `wait_seconds` is what it wishes, if it says."""

    def __init__(self, error: stripe.StripeError) -> None:
        super().__init__(error)
        seconds = str((error.headers or {}).get("retry-after", ""))
        self.wait_seconds = int(seconds) if seconds.isascii() and seconds.isdigit() else None


class StripeRefused(StripeUnavailable):
    """Stripe answered that what was asked cannot be done; asking again will not help."""


class StripeListTooLong(StripeUnavailable):
    """Stripe lists more entries than we read; some of them must not be taken for all."""

    def __init__(self, path: str, entries_max: int) -> None:
        super().__init__(stripe.StripeError(f"{path} is too long"))
        self.indeterminate = False
        self.detail = f"/v1/{path} has more than {entries_max:,} entries, and no more are read"
        self.args = (f"Stripe's list is too long: {self.detail}.",)


class StripeKeyRefused(StripeUnavailable):
    """Stripe does not accept the secret key, or the key may not do this.

    `permission` is what a restricted key lacks, as Stripe names it (`invoice_read`), None where it
    names none. Stripe's words hold a part of the key, so nothing else of them is kept.
    """

    def __init__(self, error: stripe.StripeError) -> None:
        super().__init__(error)
        named = _PERMISSION.search(str(getattr(error.error, "message", "") or ""))
        self.permission = (named[1] or named[2]) if named else None


# Today's words, and those of before 2025.
_PERMISSION = re.compile(r"\('([a-z_]+)'\) permission|Having the '(?:rak_)?([a-z_]+)' permission")


_REFUSALS: Mapping[int | None, type[StripeUnavailable]] = {
    HTTPStatus.NOT_FOUND: StripeMissing,
    HTTPStatus.TOO_MANY_REQUESTS: StripeBusy,
    HTTPStatus.BAD_REQUEST: StripeRefused,
    HTTPStatus.PAYMENT_REQUIRED: StripeRefused,
    HTTPStatus.UNAUTHORIZED: StripeKeyRefused,
    HTTPStatus.FORBIDDEN: StripeKeyRefused,
}


def refusal(error: stripe.StripeError) -> StripeUnavailable:
    """The error of ours that an error of Stripe's client is."""
    return _REFUSALS.get(error.http_status, StripeUnavailable)(error)


def _is_of_proxy(error: BaseException) -> bool:
    """Whether a proxy is the reason, which only the client behind Stripe's client knows."""
    cause = error.__cause__
    return cause is not None and (
        type(cause).__name__ in ("ProxyError", "InvalidProxyURL") or _is_of_proxy(cause)
    )
