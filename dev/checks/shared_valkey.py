"""The Valkey of a test run, in which each process of the run has a logical database of its own.

A test that empties the whole server takes another test's events away, seldom and without a trace.
So this server refuses it; who needs such a command starts a server of their own.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import redis

from dev.up.engines import ValkeyEngine

# What reaches beyond the logical database that a client has chosen.
SERVER_WIDE: Final = (
    *("flushall", "swapdb", "shutdown", "replicaof"),
    *("config|set", "client|kill", "client|pause"),
)


@contextmanager
def shared_valkey(directory: Path) -> Iterator[ValkeyEngine]:
    """A Valkey in this directory, for processes that must not meet."""
    with ValkeyEngine(directory) as valkey:
        with closing(redis.Redis.from_url(valkey.url)) as client:
            refused = [f"-{command}" for command in SERVER_WIDE]
            client.execute_command("ACL", "SETUSER", "default", *refused)  # type: ignore[no-untyped-call]  # The client types half.
        yield valkey
