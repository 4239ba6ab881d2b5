"""The test cards, and what a form says that asks for a card. No real card belongs here.

Only what a form can know is checked here (a date that is over, a code that is none); whether a
card pays is the account's to say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

_DIGITS = re.compile(r"\d{12,19}")
_CODE = re.compile(r"\d{3,4}")
_EXPIRY = re.compile(r"(\d{1,2})\s*[/-]?\s*(\d{2}|\d{4})")
_MONTHS = 12
_CENTURY = 2000


@dataclass(frozen=True, slots=True)
class TestCard:
    """A card to try, and what becomes of it."""

    # pytest would take the name for a test class.
    __test__ = False

    number: str
    outcome: str

    @property
    def shown(self) -> str:
        """The number in groups of four."""
        return " ".join(self.number[start : start + 4] for start in range(0, len(self.number), 4))


TEST_CARDS = (
    TestCard("4242424242424242", "pays"),
    TestCard("4000002500003155", "asks for authentication"),
    TestCard("4000000000009995", "is declined"),
    TestCard("4000000000000341", "fails on renewal"),
)


def card_number(form: Mapping[str, str]) -> str:
    """The digits of the number that was typed, without its spaces and dashes."""
    return re.sub(r"[\s-]", "", form.get("card_number", ""))


def what_is_wrong(form: Mapping[str, str], now: int) -> dict[str, str]:
    """Field name → what to mend, for a card form; empty when all of it can be sent.

    `now` is a Unix time: the account's clock may be ahead of this machine's.
    """
    wrong: dict[str, str] = {}
    if not _DIGITS.fullmatch(card_number(form)):
        wrong["number"] = "Enter the number of a card, such as 4242 4242 4242 4242."
    expiry = _expiry_problem(form.get("card_expiry", ""), now)
    if expiry:
        wrong["expiry"] = expiry
    if not _CODE.fullmatch(form.get("card_cvc", "").strip()):
        wrong["cvc"] = "Enter the 3 or 4 digits of the code."
    if not form.get("card_name", "").strip():
        wrong["name"] = "Enter the name on the card."
    return wrong


def _expiry_problem(text: str, now: int) -> str:
    match = _EXPIRY.fullmatch(text.strip())
    month = int(match[1]) if match else 0
    if not match or not 1 <= month <= _MONTHS:
        return "Enter month and year, such as 12 / 40."
    year = int(match[2]) if len(match[2]) > 2 else _CENTURY + int(match[2])  # noqa: PLR2004 - two digits leave out the century.
    today = datetime.fromtimestamp(now, UTC)
    return "This card has expired." if (year, month) < (today.year, today.month) else ""
