"""The server that tests share keeps them apart: none can empty or change what is another's."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from dev.checks.shared_valkey import shared_valkey
from dev.up.engines import ValkeyEngine


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyEngine]:
    """One of this module's own, as the test command starts one."""
    directory: Path = tmp_path_factory.mktemp("shared")
    with shared_valkey(directory) as valkey:
        yield valkey


@pytest.mark.parametrize(
    "words",
    [
        ("FLUSHALL",),
        ("SWAPDB", "1", "2"),
        ("SHUTDOWN", "NOSAVE"),
        ("REPLICAOF", "NO", "ONE"),
        ("CONFIG", "SET", "maxmemory", "1mb"),
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("CLIENT", "PAUSE", "1"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_what_touches_every_database_is_refused(
    shared: ValkeyEngine, words: tuple[str, ...]
) -> None:
    """And what is there stays."""
    with (
        closing(redis.Redis.from_url(shared.url_of(1))) as of_one,
        closing(redis.Redis.from_url(shared.url_of(2))) as of_another,
    ):
        of_another.set("kept", "yes")
        with pytest.raises(redis.exceptions.NoPermissionError):
            of_one.execute_command(*words)  # type: ignore[no-untyped-call]  # The client types half.
        assert of_another.get("kept") == b"yes"


def test_a_test_may_do_as_it_likes_in_its_own(shared: ValkeyEngine) -> None:
    """Its database is its own, and what the server is set to may be read."""
    with (
        closing(redis.Redis.from_url(shared.url_of(1))) as of_one,
        closing(redis.Redis.from_url(shared.url_of(2))) as of_another,
    ):
        of_one.set("key", "value")
        of_another.set("kept", "yes")
        of_one.flushdb()
        assert of_one.dbsize() == 0
        assert of_one.config_get("appendfsync") == {"appendfsync": "always"}
        assert of_another.get("kept") == b"yes"
