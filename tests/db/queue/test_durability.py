"""Whether a Redis keeps what it is given: only when it says so."""

from dataclasses import dataclass, field
from typing import Any, cast

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
    cluster: dict[str, int] = field(default_factory=dict)
    replication: dict[str, Any] = field(default_factory=lambda: {"role": "master"})
    is_silent: bool = False

    def config_get(self, name: str) -> dict[str, str]:
        """One setting; a hosted Redis may refuse."""
        if self.is_silent:
            raise redis.ResponseError
        return {name: self.settings[name]}

    def info(self, section: str) -> dict[str, Any]:
        """How much memory is used, and which servers belong together."""
        found: dict[str, Any] = getattr(self, section)
        return found


def ask(server: Server, copies: int = 0) -> Verdict:
    """Ask this server."""
    return durability.ask(cast("redis.Redis", server), copies=copies)


def replica(**changed: str | int) -> dict[str, str | int]:
    """A replica as its primary tells of it."""
    return {"ip": "10.0.0.2", "port": 6379, "state": "online", "lag": 1, **changed}


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


def test_a_cluster_is_refused_by_name() -> None:
    """Celery cannot work there, so what is accepted would never be applied."""
    verdict = ask(Server(cluster={"cluster_enabled": 1}))
    assert (verdict.durable, verdict.is_unfit) == (False, True)
    assert "cluster_enabled:1" in verdict.why


@pytest.mark.parametrize("replication", [{"role": "slave"}, {}])
def test_only_a_primary_is_durable(replication: dict[str, str]) -> None:
    """What does not say that it is one is none."""
    assert not ask(Server(replication=replication)).durable


@pytest.mark.parametrize(
    ("told", "is_live"),
    [({}, True), ({"lag": 2}, True), ({"lag": 3}, False), ({"state": "wait_bgsave"}, False)],
)
def test_a_replica_counts_while_it_keeps_up(told: dict[str, str | int], *, is_live: bool) -> None:
    """It tells once a second how far it is."""
    server = Server(replication={"role": "master", "slave0": replica(**told)})
    verdict = ask(server, copies=1)
    assert verdict.durable is is_live
    assert verdict.passes is not is_live
    assert not ask(server, copies=2).durable


def test_replicas_that_nobody_waits_for_decide_nothing() -> None:
    """As before there were any."""
    server = Server(replication={"role": "master", "slave0": replica(lag=900)})
    assert ask(server).durable
