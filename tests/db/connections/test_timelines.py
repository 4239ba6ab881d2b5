"""The newest timeline is known to all processes, and to each of them without Redis."""

from typing import Any

import fakeredis

from db.connections.timelines import KEY, LOOK_EVERY_SECONDS, Timelines


class Clock:
    """A clock that goes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_what_one_has_seen_all_know() -> None:
    """At once who looks for the first time, soon who has looked before."""
    server, clock = fakeredis.FakeServer(), Clock()
    one, other = (Timelines(fakeredis.FakeRedis(server=server), clock) for _ in range(2))
    assert other.newest(7) == 0
    one.saw(7, 2)
    assert (one.newest(7), other.newest(7)) == (2, 0)
    clock.now += LOOK_EVERY_SECONDS
    assert other.newest(7) == 2
    assert other.newest(8) == 0


def test_an_older_one_never_takes_its_place() -> None:
    """Neither here nor in Redis."""
    client: Any = fakeredis.FakeRedis()
    one, late = Timelines(client), Timelines(client)
    assert late.newest(7) == 0
    one.saw(7, 3)
    late.saw(7, 2)
    late.saw(7, 1)
    assert late.newest(7) == 3
    assert client.zscore(KEY, "7") == 3


def test_without_redis_each_goes_by_what_it_has_seen() -> None:
    """And tells the others when Redis is back."""
    server = fakeredis.FakeServer()
    client: Any = fakeredis.FakeRedis(server=server)
    clock = Clock()
    alone, away = Timelines(None), Timelines(client, clock)
    server.connected = False
    for timelines in (alone, away):
        timelines.saw(7, 2)
        assert timelines.newest(7) == 2
    server.connected = True
    clock.now += LOOK_EVERY_SECONDS
    away.saw(7, 2)
    assert client.zscore(KEY, "7") == 2
