"""The thread that listens to Redis, and how it ends."""

import asyncio
import threading
from contextlib import closing
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from ingest.stream.change_watch import ChangeWatch

ENDS_SECONDS_MAX = 10.0


class Away:
    """A Redis that cannot be listened to; at so many tries the watch is stopped just before."""

    def __init__(self, tries: int) -> None:
        self._tries = tries
        self.watch: ChangeWatch | None = None

    def pubsub(self) -> Any:
        """Fail, as redis-py does."""
        self._tries -= 1
        if self._tries == 0:
            assert self.watch is not None
            self.watch.stop()
        raise redis.ConnectionError


class Told:
    """A hub that is told nothing, for its loop never runs."""

    def hints_fail(self) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("tries", "said"), [(1, 0), (2, 1)])
def test_a_watch_that_is_stopped_while_redis_is_away_says_nothing_more(
    tries: int, said: int
) -> None:
    """Whoever stops it may have closed the log by then; until then each failure is told."""
    away: Any = Away(tries)
    told: Any = Told()
    away.watch = ChangeWatch(away, "hints", told)
    with closing(asyncio.new_event_loop()) as loop, capture_logs() as logs:
        away.watch.start(loop)
        for thread in threading.enumerate():
            if thread.name == "change-watch":
                thread.join(ENDS_SECONDS_MAX)
                assert not thread.is_alive()
    assert [log["event"] for log in logs] == ["redis cannot be listened to"] * said
