"""What Stripe answers: plain dictionaries with the second of the answer by Stripe's clock."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

Json = dict[str, Any]


class Answer(Json):
    """An object as Stripe answered with it.

    `answered_created` is the second of that by Stripe's clock, as its events are dated: what
    happens at Stripe in a later second is not in the answer yet.
    """

    def __init__(self, content: Mapping[str, Any], answered_created: int) -> None:
        super().__init__(content)
        self.answered_created = answered_created


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some of the account's events, newest first, as Stripe would send them; and if there are more.

    What is no object is left out. `answered_created` is as in `Answer`.
    """

    events: list[Answer]
    has_more: bool
    answered_created: int


def objects(page: Answer) -> list[Answer]:
    """The objects of a page of a list; whatever is no object is left out."""
    entries = page.get("data") or ()
    return [Answer(entry, page.answered_created) for entry in entries if isinstance(entry, dict)]


def answered_created(headers: Mapping[str, str], took_seconds: float) -> int:
    """The second in which Stripe was asked, by its own clock; by ours where it tells no time.

    Its `Date` is of the end of the answer. One that was long under way may have been true only at
    its beginning, and must not pass for newer than what happened meanwhile.
    """
    date = next((value for name, value in headers.items() if name.lower() == "date"), "")
    try:
        ended = int(parsedate_to_datetime(date).timestamp())
    except ValueError:
        ended = int(time.time())
    return ended - int(took_seconds)
