"""Where the page of a checkout session is, at Stripe or inside the shop's, and where it leads."""

from collections.abc import Mapping
from typing import Any

from sandbox.simulate.records import Embedding
from sandbox.simulate.versions import ApiVersion
from sandbox.stripe.api.calls import Call
from sandbox.stripe.api.parameters import Rule, one_of, web_url
from sandbox.stripe.errors import invalid, missing_parameter

_OLDER, _NEWER = ("embedded", "hosted"), ("embedded_page", "hosted_page")
RULES: Mapping[str, Rule] = {
    "cancel_url": web_url,
    "redirect_on_completion": one_of("always", "if_required", "never"),
    "return_url": web_url,
    "success_url": web_url,
    "ui_mode": one_of(*_OLDER, *_NEWER),
}


def embedding_of(call: Call) -> Embedding | None:
    """How a page inside the shop's own is left; None for one that Stripe hosts."""
    params = call.params
    mode = _ui_mode(params, call.version)
    embedded = mode.startswith("embedded")
    redirects = params.get("redirect_on_completion", "always")
    ours = ("cancel_url", "success_url")
    for name in ours if embedded else ("redirect_on_completion", "return_url"):
        if params.get(name):
            raise invalid(f"You can not pass `{name}` when `ui_mode` is `{mode}`.", name)
    if not embedded:
        if not params.get("success_url"):
            raise missing_parameter("success_url")
        return None
    if redirects == "never" and params.get("return_url"):
        message = "You can not pass `return_url` when `redirect_on_completion` is `never`."
        raise invalid(message, "return_url")
    if redirects != "never" and not params.get("return_url"):
        raise missing_parameter("return_url")
    return Embedding(params.get("return_url"), redirects)


def _ui_mode(params: Mapping[str, Any], version: ApiVersion) -> str:
    known = _NEWER if version.hosted_page else _OLDER
    mode = str(params.get("ui_mode", known[1]))
    if mode not in known:
        message = f"Invalid ui_mode: must be one of {', '.join(known)} in version {version.name}"
        raise invalid(message, "ui_mode")
    return mode
