"""In which order what is compared is measured, round by round."""

from collections.abc import Sequence
from typing import TypeVar

Each = TypeVar("Each")


def in_turn(compared: Sequence[Each], number: int) -> Sequence[Each]:
    """What is compared, as given in every even round, and the other way round in every odd one.

    So none always comes after the same other. The first one makes the files that the next writes
    anew, and where a host lends a machine speed for a while, the first is lent more.
    """
    return compared[::-1] if number % 2 else compared
