"""Adjustments: a person's correction of a balance, stored as an event of ours."""

from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.json_values import integer_of
from domain.tokens.adjustments import Adjustment


def adjustment(source: Source) -> list[Fact]:
    """The correction; its event's id is its own."""
    delta = integer_of(source.object.get("amount"))
    if not delta:
        raise source.missing("amount")
    return [
        Adjustment(
            id=source.event.id,
            user_id=source.required_text("user_id"),
            delta=delta,
            by=source.required_text("by"),
            reason=source.required_text("reason"),
        )
    ]
