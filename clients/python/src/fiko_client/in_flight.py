"""What views that run right now are going to spend, so that two of them do not count on the same.

Known to one process only: what two processes count on twice is refused by the ledger, when the
second of them spends. Holds of the service will take this module's place, and know of all.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Views:
    """A user's views that have not begun to spend, by their numbers, which grow."""

    tokens: dict[int, int] = field(default_factory=dict)
    begun: int = 0
    ended: int = 0
    inside: int = 0


class InFlight:
    """The tokens that each user's running views will spend."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: dict[str, _Views] = {}

    @contextmanager
    def taking(self, user: str, tokens: int) -> Iterator["Taken"]:
        """Count a view's tokens for as long as the block runs, or until they are released."""
        with self._lock:
            views = self._users.setdefault(user, _Views())
            views.begun += 1
            views.inside += 1
            views.tokens[views.begun] = tokens
            taken = Taken(self._lock, views, views.begun)
        try:
            yield taken
        finally:
            taken.release()
            with self._lock:
                views.inside -= 1
                if not views.inside:
                    del self._users[user]


@dataclass(frozen=True, slots=True)
class Taken:
    """The tokens of one running view."""

    lock: threading.Lock
    views: _Views
    number: int

    def earlier(self) -> tuple[int, int]:
        """What views that began earlier will spend, and a number that grows when one does."""
        with self.lock:
            earlier = sum(
                each for number, each in self.views.tokens.items() if number < self.number
            )
            return earlier, self.views.ended

    def release(self) -> None:
        """Count them no longer: from here on the balance tells of them."""
        with self.lock:
            if self.views.tokens.pop(self.number, None) is not None:
                self.views.ended += 1
