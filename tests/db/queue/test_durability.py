"""Whether a Redis keeps what it is given: only when it says so."""

from dataclasses import dataclass, field
from typing import cast

import pytest
import redis

from db.queue import durability
from db.queue.durability import Verdict

WANTED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


@dataclass
class Server:
    """What a server says of itself; the real one is shared by tests that need it as it is."""

    settings: dict[str, str] = field(default_factory=lambda: dict(WANTED))
    memory: dict[str, int] = field(default_factory=dict)
    is_silent: bool = False

    def config_get(self, name: str) -> dict[str, str]:
        """One setting; a hosted Redis may refuse."""
        if self.is_silent:
            raise redis.ResponseError
        return {name: self.settings[name]}

    def info(self, _section: str) -> dict[str, int]:
        """How much memory is used."""
        return self.memory


def ask(server: Server) -> Verdict:
    """Ask this server."""
    return durability.ask(cast("redis.Redis", server))


def test_a_redis_that_writes_every_entry_is_durable() -> None:
    """Then the stream may go first."""
    assert ask(Server()).durable


@pytest.mark.parametrize(
    ("name", "value"),
    [("appendonly", "no"), ("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")],
)
def test_one_setting_that_loses_events_is_enough(name: str, value: str) -> None:
    """And it is named."""
    expected = Verdict(durable=False, why=f"Redis has {name} not set to {WANTED[name]}")
    assert ask(Server(WANTED | {name: value})) == expected


@pytest.mark.parametrize(("used", "is_durable"), [(70, True), (71, False)])
def test_a_redis_that_is_nearly_full_takes_no_more(used: int, *, is_durable: bool) -> None:
    """The inbox takes the rest before Redis refuses."""
    server = Server(memory={"maxmemory": 100, "used_memory": used})
    assert ask(server).durable is is_durable


def test_a_redis_that_does_not_tell_is_not_trusted() -> None:
    """It may be durable; nobody knows."""
    assert not ask(Server(is_silent=True)).durable
