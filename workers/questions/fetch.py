"""Completes an answer of Stripe so that it can become an event: its whole list, and a time.

The event is stored in the inbox like any other (source `fetch`), so replays and audits need no
network. Nothing here runs inside a transaction.
"""

from collections.abc import Mapping
from typing import Any

from domain.json_values import mapping_of
from stripe_gateway import StripeGateway

Json = dict[str, Any]

# The list of an object that Stripe cuts after ten entries or so.
_LISTS = {"subscription": "items", "invoice": "lines", "checkout.session": "line_items"}


def is_cut(answer: Mapping[str, Any]) -> bool:
    """Whether Stripe sent only the beginning of an object's list."""
    key = _LISTS.get(str(answer.get("object")), "")
    return mapping_of(answer.get(key)).get("has_more") is True


def with_whole_list(answer: Mapping[str, Any], gateway: StripeGateway) -> Json:
    """The same object with its whole list, for which Stripe is asked only where it is cut.

    Raises `StripeUnavailable`.
    """
    if not is_cut(answer):
        return dict(answer)
    name, key = answer["id"], _LISTS[answer["object"]]
    if key == "items":
        entries = gateway.subscription_items(name)
    elif key == "lines":
        entries = gateway.invoice_lines(name)
    else:
        entries = gateway.checkout_session_line_items(name)
    return {**answer, key: {"object": "list", "data": entries, "has_more": False}}


def answer_time(answered_created: int, newest_report: int | None, *, skew_seconds: int = 0) -> int:
    """The second, of Stripe's clock, that an answer is dated with.

    It is that of the answer; but where the last report that was known when Stripe was asked lies
    further ahead than `skew_seconds` (a test clock was moved), the one after that report.
    """
    later = 0 if newest_report is None else newest_report + 1
    return later if later > answered_created + skew_seconds else answered_created
