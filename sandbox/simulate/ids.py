"""Ids as Stripe makes them: what is made later has a greater one, and all name their account.

Stripe promises nothing of it; its own sample objects have it throughout, wherever one carries a
time of its own (`file_link`, `plan`, `source` and others). It matters for a database: rows of one
day lie side by side in its indexes, where ids of pure chance would spread them over all pages.
"""

import random
import string
from functools import lru_cache

LETTERS = string.ascii_letters + string.digits
# In the order in which they are compared.
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
# 2012-07-15 21:56:20 UTC, from which all ids of the sample objects count.
_BEGAN = 1_342_389_380
_TIME_DIGITS = 5
_ACCOUNT_LETTERS = 10
# Whoever knows the id of a page may open it, and codes are typed by people: these tell nothing.
_SILENT = frozenset({"cs_test", "bps", "co", "c"})
# Shorter ids, as those of customers and products, have no room for their account.
_WITH_ACCOUNT_MIN = 24


def told(prefix: str, length: int, moment: int, run: str) -> str:
    """What an id of this kind and length says of when and for whom it was made."""
    if prefix in _SILENT:
        return ""
    return dated(moment) + (_account(run) if length >= _WITH_ACCOUNT_MIN else "")


def dated(moment: int) -> str:
    """A time, in seconds since 1970, as ids tell it: five digits of base 62, which sort by time."""
    left, digits = max(0, moment - _BEGAN), ""
    for _ in range(_TIME_DIGITS):
        left, digit = divmod(left, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


@lru_cache(maxsize=64)
def _account(run: str) -> str:
    chance = random.Random(run)  # noqa: S311 - it must repeat, and guards nothing.
    return "".join(chance.choices(LETTERS, k=_ACCOUNT_LETTERS))
