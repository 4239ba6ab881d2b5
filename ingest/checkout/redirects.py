"""The addresses that Stripe's pages lead back to: the caller's, else the configured ones."""

from typing import Any

from domain.checkout.redirects import RedirectRefusedError, RedirectRules
from ingest.http import inputs
from ingest.http.problems import ProblemType
from settings import Settings, variable

REFUSED = ProblemType(
    422,
    "redirect_refused",
    "An address is not one that buyers may be sent to; see errors.",
    {"errors": {"body": {"success_url": ["Must begin with https://."]}}},
)

# The setting to use where a body leaves an address out.
_DEFAULTS = {
    "success_url": "stripe_success_url",
    "cancel_url": "stripe_cancel_url",
    "return_url": "stripe_portal_return_url",
}


def checked(body: dict[str, Any], name: str, settings: Settings) -> str:
    """The address to use for this field of the body.

    Raises a 422 where it is not allowed, or where neither the body nor the settings have one.
    """
    default = _DEFAULTS[name]
    url: str = body[name] or getattr(settings, default)
    if not url:
        cure = f"Send it, because {variable(default)} is not set."
        raise inputs.INVALID_INPUT.problem(errors={"body": {name: [cure]}})
    try:
        return _rules(settings).check(url)
    except RedirectRefusedError as error:
        raise REFUSED.problem(errors={"body": {name: [str(error)]}}) from error


def _rules(settings: Settings) -> RedirectRules:
    own = (getattr(settings, name) for name in _DEFAULTS.values())
    return RedirectRules.of(
        [*own, *settings.allowed_redirect_origins],
        allows_http_to_loopback=settings.stripe_test_mode,
    )
