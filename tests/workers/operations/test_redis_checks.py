"""What `doctor` says of Redis and its copies, asked of real servers."""

from collections.abc import Callable
from pathlib import Path

import settings
from db.engine import make_engine
from db.operations import redis_seen
from db.queue.stream import connect
from dev.up.ports import free_port
from tests.redis_group import Member, a_group
from workers.operations import redis_checks
from workers.operations.findings import Finding, Level


def findings(server: Member, **variables: str) -> list[Finding]:
    """What is found with this server."""
    found = settings.load(environ={"REDIS_URL": server.url, **variables})
    client = connect(server.url, timeout_seconds=2.0)
    try:
        return redis_checks.look(client, found)
    finally:
        client.close()


def levels(found: list[Finding]) -> list[tuple[str, Level]]:
    """How bad each is."""
    return [(finding.subject, finding.level) for finding in found]


def test_copies_are_looked_at_where_they_lie(tmp_path: Path) -> None:
    """Role, number, and what each replica does with what it gets."""
    ok: Callable[[str], tuple[str, Level]] = lambda subject: (subject, Level.OK)  # noqa: E731 - short.
    with a_group(tmp_path) as group:
        found = findings(group.primary, REDIS_COPIES="1")
        # The replica is asked itself, by the address that it has in the primary's eyes.
        assert levels(found) == [ok("redis"), ok("redis copies")]
        found = findings(group.primary)
        assert levels(found) == [ok("redis"), ("redis copies", Level.WARN)]
        assert "set REDIS_COPIES=1" in found[1].cure
        found = findings(group.primary, REDIS_COPIES="2")
        assert levels(found) == [("redis", Level.WARN), ok("redis copies")]
        found = findings(group.primary, REDIS_COPIES="2", INTAKE="stream")
        assert found[0].level is Level.FAIL
        [of_replica] = findings(group.replicas[0], REDIS_COPIES="1")
        assert (of_replica.level, "is a replica" in of_replica.says) == (Level.WARN, True)
        group.replicas[0].order("CONFIG", "SET", "appendfsync", "everysec")
        found = findings(group.primary, REDIS_COPIES="1")
        assert levels(found) == [ok("redis"), ("redis copies", Level.FAIL)]
        assert found[1].cure == "set appendfsync always there"
        group.replicas[0].order("CONFIG", "SET", "requirepass", "of-another")
        found = findings(group.primary, REDIS_COPIES="1")
        assert levels(found) == [ok("redis"), ("redis copies", Level.WARN)]
        assert "cannot be asked from here" in found[1].says


def test_a_cluster_fails_and_is_named(tmp_path: Path) -> None:
    """What is accepted there is never applied, also with one node."""
    # By default the members' own port is 10,000 above, where anybody's connection may begin.
    more = f"cluster-enabled yes\ncluster-port {free_port()}\n"
    server = Member(tmp_path / "server", more=more)
    with server:
        server.order("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        [found] = findings(server)
    assert found.level is Level.FAIL
    assert "cluster_enabled:1" in found.says
    assert "redis+sentinel://" in found.cure


def test_a_redis_that_took_over_is_told_until_stripe_was_asked(database_url: str) -> None:
    """Without a key nobody asks."""
    engine = make_engine(database_url, pool_size=1)
    found = settings.load(environ={})
    assert redis_checks.history(engine, found) == []
    with engine.begin() as connection:
        redis_seen.notice(connection, "one")
        redis_seen.notice(connection, "another")
    [finding] = redis_checks.history(engine, found)
    assert finding.level is Level.WARN
    assert "set STRIPE_SECRET_KEY" in finding.cure
    with engine.begin() as connection:
        reread = redis_seen.reread(connection)
        assert reread
        redis_seen.reread_done(connection, reread.at)
    assert redis_checks.history(engine, found) == []
    engine.dispose()
