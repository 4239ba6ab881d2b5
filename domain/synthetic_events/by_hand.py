"""What people say by hand, as events of ours: adjustments of balances, assignments of payments.

Such an event is stored and applied like one of Stripe's, so everything that reads events knows
it. It never comes from outside: the receiver refuses what bears our names.
"""

from collections.abc import Mapping
from typing import Any

from domain.synthetic_events import answers

PREFIX = "manual_"
TYPE_PREFIX = "fiko."
SOURCE = "manual"

ADJUSTED = "fiko.tokens.adjusted"
ASSIGNED = "fiko.payment.assigned"

Json = dict[str, Any]


def is_ours(event_id: str, event_type: str) -> bool:
    """Whether only we give such an id or type: nobody else may send it."""
    return event_id.startswith((PREFIX, answers.PREFIX)) or event_type.startswith(TYPE_PREFIX)


def is_by_hand(event_id: str) -> bool:
    """Whether an event is a person's word, given here."""
    return event_id.startswith(PREFIX)


def adjusted(number: str, created: int, *, user_id: str, amount: int, by: str, reason: str) -> Json:
    """A correction of a balance; `number` makes it unlike any other, `created` is in seconds."""
    adjustment = {"user_id": user_id, "amount": amount, "by": by, "reason": reason}
    return _event(ADJUSTED, "token_adjustment", number, created, adjustment)


def assigned(
    number: str,
    created: int,
    *,
    payment_id: str,
    user_id: str | None = None,
    plan_id: int | None = None,
    by: str,
    reason: str | None = None,
) -> Json:
    """A payment given its user, its plan or both."""
    assignment = {"payment": payment_id, "user_id": user_id, "plan_id": plan_id, "by": by}
    return _event(ASSIGNED, "payment_assignment", number, created, assignment | {"reason": reason})


def _event(
    event_type: str, kind: str, number: str, created: int, fields: Mapping[str, Any]
) -> Json:
    event_id = f"{PREFIX}{number}"
    given = {name: value for name, value in fields.items() if value is not None}
    return {
        "id": event_id,
        "object": "event",
        "type": event_type,
        "api_version": None,
        "created": created,
        "livemode": None,
        "data": {"object": {"id": event_id, "object": kind, "created": created, **given}},
    }
