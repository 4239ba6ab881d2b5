"""Assignments: a person's word on whose a payment is, or for what, stored as an event of ours."""

from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.json_values import text_of
from domain.payments.claims import Assigned
from domain.payments.objects import MoneyObject, kind_of


def assignment(source: Source) -> list[Fact]:
    """The user or the plan that a payment was given by hand."""
    payment_id = source.required_reference("payment")
    user_id = text_of(source.object.get("user_id"))
    plan_id = source.plan_id(source.object)
    if user_id is None and plan_id is None:
        raise source.missing("user_id or plan_id")
    stamp = source.event.stamp
    return [
        MoneyObject(
            payment_id,
            kind_of(payment_id),
            assigned_user=Assigned(stamp, user_id) if user_id else None,
            assigned_plan=None if plan_id is None else Assigned(stamp, str(plan_id)),
        )
    ]
