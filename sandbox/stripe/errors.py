"""The errors of the API, in Stripe's words and shapes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

INVALID = "invalid_request_error"
_DOCS = "https://stripe.com/docs/error-codes/"


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818 - a request is refused; nothing went wrong here.
    """A request that is answered with an error; `kind` is what Stripe calls `type`."""

    status: HTTPStatus
    message: str
    code: str | None = None
    param: str | None = None
    kind: str = INVALID
    decline_code: str | None = None
    retry_after_seconds: int | None = None
    # What else the error carries: the objects that it is about.
    objects: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The error as Stripe words it."""
        page = f"{_DOCS}{self.code.replace('_', '-')}" if self.code else None
        fields = {
            "code": self.code,
            "decline_code": self.decline_code,
            "doc_url": page,
            "message": self.message,
            "param": self.param,
            "type": self.kind,
        }
        said = {name: value for name, value in fields.items() if value is not None}
        return {"error": {**said, **self.objects}}


def invalid(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    """The request makes no sense to Stripe."""
    return Refusal(HTTPStatus.BAD_REQUEST, message, code, param)


def unknown_parameter(param: str) -> Refusal:
    """A parameter that this call does not take."""
    return invalid(f"Received unknown parameter: {param}", param, "parameter_unknown")


def missing_parameter(param: str) -> Refusal:
    """A parameter that this call cannot do without."""
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def no_such(kind: str, record_id: str, param: str) -> Refusal:
    """An id that belongs to nothing here; Stripe says 404 when the address names it, else 400."""
    status = HTTPStatus.NOT_FOUND if param == "id" else HTTPStatus.BAD_REQUEST
    return Refusal(status, f"No such {kind}: '{record_id}'", "resource_missing", param)


def no_access(account_id: str) -> Refusal:
    """An account that is not the key's own."""
    message = (
        f"The provided key does not have access to account '{account_id}' (or that account does "
        "not exist). Application access may have been revoked."
    )
    return Refusal(HTTPStatus.FORBIDDEN, message, "account_invalid")


def unrecognised(method: str, path: str) -> Refusal:
    """An address that is none of the API's."""
    message = f"Unrecognized request URL ({method}: {path})."
    return Refusal(HTTPStatus.NOT_FOUND, message)


def no_form() -> Refusal:
    """A body that is no form, where the API takes nothing else."""
    message = (
        "Invalid request (check that your POST content type is application/x-www-form-urlencoded). "
        "If you have any questions, we can help at https://support.stripe.com/."
    )
    return Refusal(HTTPStatus.BAD_REQUEST, message)


def unauthorised(message: str) -> Refusal:
    """No key, or one that cannot be right here."""
    return Refusal(HTTPStatus.UNAUTHORIZED, message)


def failed(request_id: str) -> Refusal:
    """A fault of the offline Stripe itself; its log tells more."""
    message = f"An unknown error occurred ({request_id})."
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, message, kind="api_error")


def key_misused(key: str) -> Refusal:
    """An idempotency key that came with other parameters before."""
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first "
        f"used with. Try using a key other than '{key}' if you meant to execute a different "
        "request."
    )
    return Refusal(HTTPStatus.BAD_REQUEST, message, kind="idempotency_error")


def key_in_use(key: str) -> Refusal:
    """An idempotency key whose first request is still under way."""
    message = (
        "There is currently another in-progress request using this Idempotent Key "
        f"({key}). Please try again later."
    )
    return Refusal(HTTPStatus.CONFLICT, message, "idempotency_key_in_use")


def card_declined(message: str, decline_code: str) -> Refusal:
    """A card that does not pay."""
    status = HTTPStatus.PAYMENT_REQUIRED
    return Refusal(status, message, "card_declined", None, "card_error", decline_code)
