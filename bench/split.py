"""Where a worker's CPU time goes: its own functions, timed from outside by the thread's clock.

A run of its own, never the one whose rate is told: timing costs a little. Time is exclusive, so
what a function spends in another timed one counts there only.
"""

import gc
import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

# What counts as what: (part, module, attribute path); resolved when used, tested to exist.
SEAMS: Sequence[tuple[str, str, str]] = (
    ("read", "db.queue.stream", "EventStream.read"),
    ("read", "db.queue.stream", "EventStream.acknowledge"),
    ("read", "db.queue.stream", "EventStream.take_over_stale"),
    ("decode", "workers.pipeline.in_hand", "prepare"),
    ("merge", "db.ledger.unit_of_work", "merge_parties"),
    ("merge", "db.ledger.unit_of_work", "merge_money"),
    ("merge", "db.ledger.unit_of_work", "derive_touched"),
    ("rows", "db.ledger.locks", "subjects_of"),
    ("rows", "db.ledger.loading", "load_parties"),
    ("rows", "db.ledger.loading", "load_money"),
    ("rows", "db.ledger.loading", "load_owners"),
    ("rows", "db.ledger.writing", "save"),
    ("rows", "workers.pipeline.apply", "record"),
    ("SQL", "sqlalchemy.engine.base", "Connection.execute"),
    ("SQL", "sqlalchemy.engine.base", "Connection._commit_impl"),
    ("log, metrics", "workers.pipeline.report", "committed"),
)
MEANINGS = {
    "read": "stream entries fetched and acknowledged",
    "decode": "decompressed, parsed, decoded to facts",
    "merge": "facts joined, payments settled",
    "rows": "rows read into facts and facts made rows",
    "SQL": "statements sent and answers taken (SQLAlchemy, psycopg2)",
    "log, metrics": "log lines and counts",
    "garbage": "Python's garbage collector, wherever it struck",
    "rest": "everything else in a drain",
}


class Clock:
    """Sums thread CPU seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(MEANINGS, 0.0)
        self._open: list[float] = []
        self._collecting_since = 0.0

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its own time added to a part whenever it runs."""

        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the function takes.
            began = time.thread_time()
            self._open.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.thread_time() - began
                self.seconds[part] += spent - self._open.pop()
                if self._open:
                    self._open[-1] += spent

        return run

    def collecting(self, phase: str, _about: dict[str, int]) -> None:
        """Count a run of the garbage collector, which calls this at both of its ends."""
        if phase == "start":
            self._collecting_since = time.thread_time()
            return
        spent = time.thread_time() - self._collecting_since
        self.seconds["garbage"] += spent
        if self._open:
            self._open[-1] += spent


@contextmanager
def watched() -> Iterator[Clock]:
    """Time every seam while inside, in this process."""
    clock = Clock()
    replaced: list[tuple[Any, str, Any]] = []
    try:
        for part, module, path in SEAMS:
            owner, name = resolve(module, path)
            original = getattr(owner, name)
            replaced.append((owner, name, original))
            setattr(owner, name, clock.timed(part, original))
        gc.callbacks.append(clock.collecting)
        yield clock
    finally:
        if clock.collecting in gc.callbacks:
            gc.callbacks.remove(clock.collecting)
        for owner, name, original in reversed(replaced):
            setattr(owner, name, original)


def resolve(module: str, path: str) -> tuple[Any, str]:
    """What holds the last name of a path, and that name."""
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name
