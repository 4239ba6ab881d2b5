"""The scripts that start the engines of several machines, with the real engines."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from sqlalchemy import text

from db.engine import make_engine
from db.queue.durability import ask
from db.queue.stream import GROUP, STREAM, connect
from dev.up.ports import free_port
from dev.up.suppliers import postgres_directory, valkey_server
from tests.conftest import Engines
from tests.deployments import (
    DEPLOY,
    PASSWORD,
)

CLIENT = """#!{python}
import sys, redis
host, port = sys.argv[2], int(sys.argv[4])
found = redis.Redis(host=host, port=port, socket_timeout=1).execute_command(*sys.argv[5:])
print("\\n".join(word.decode() for word in found or ()))
"""


class Group:
    """Valkeys and Sentinels, each started by the script that starts it in production."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.ports = [free_port() for _ in range(2)]
        self.sentinels = [free_port() for _ in range(3)]
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        client = place / "valkey-cli"
        client.write_text(CLIENT.format(python=sys.executable), encoding="utf-8")
        client.chmod(0o755)
        self._client = client

    def start_server(self, port: int) -> None:
        """A Valkey by valkey.sh."""
        directory = self.place / str(port)
        directory.mkdir(exist_ok=True)
        self._start(
            port,
            "valkey.sh",
            VALKEY_NAME="127.0.0.1",
            VALKEY_PORT=str(port),
            VALKEY_FIRST="127.0.0.1",
            VALKEY_FIRST_PORT=str(self.ports[0]),
            VALKEY_SENTINELS=" ".join(f"127.0.0.1:{each}" for each in self.sentinels),
            VALKEY_MEMORY="50mb",
            VALKEY_DIR=str(directory),
        )

    def start_sentinel(self, port: int) -> None:
        """A Sentinel by sentinel.sh."""
        self._start(
            port,
            "sentinel.sh",
            SENTINEL_NAME="127.0.0.1",
            SENTINEL_PORT=str(port),
            SENTINEL_FILE=str(self.place / f"{port}.conf"),
            VALKEY_FIRST="127.0.0.1",
            VALKEY_PORT=str(self.ports[0]),
        )

    def _start(self, port: int, name: str, **environment: str) -> None:
        more = {"VALKEY_PASSWORD": PASSWORD, "VALKEY_SERVER": str(valkey_server())}
        self.processes[port] = subprocess.Popen(
            ["/bin/sh", str(DEPLOY / "ha" / name)],
            cwd=self.place,
            env={"PATH": os.environ["PATH"], "VALKEY_CLI": str(self._client)} | more | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def role(self, port: int) -> str:
        """What a server says that it is."""
        url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
        with contextlib.closing(connect(url, timeout_seconds=1)) as client:
            return str(cast("Any", client.info("replication"))["role"])

    def url(self) -> str:
        """The group as the settings name it."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        return f"redis+sentinel://:{PASSWORD}@{hosts}/main/0"


def eventually(holds: Callable[[], bool], seconds: float = 25.0) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(redis.RedisError, OSError):
            if holds():
                return
        time.sleep(0.1)
    pytest.fail("it does not come to that")


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    """Two Valkeys and three Sentinels, which have found each other."""
    made = Group(tmp_path)
    try:
        for port in made.ports:
            made.start_server(port)
        eventually(lambda: [made.role(port) for port in made.ports] == ["master", "slave"])
        for port in made.sentinels:
            made.start_sentinel(port)
        yield made
    finally:
        for process in made.processes.values():
            process.kill()
            process.wait()


def test_the_scripts_start_a_group_whose_old_primary_comes_back_as_a_replica(
    group: Group,
) -> None:
    """And takes no event that nobody else has, in the seconds before a Sentinel sees it."""
    first, second = group.ports
    sentinels = [connect(f"redis://127.0.0.1:{port}/0") for port in group.sentinels]

    def all_know() -> bool:
        known = [cast("Any", each.sentinel_masters())["main"] for each in sentinels]
        return all(
            state["num-slaves"] == 1 and state["num-other-sentinels"] == 2 for state in known
        )

    eventually(all_know)
    with contextlib.closing(connect(group.url(), timeout_seconds=2)) as client:
        verdict = ask(client)
        assert verdict.durable, verdict.why
        group.processes[first].kill()
        group.processes[first].wait()
        eventually(lambda: group.role(second) == "master")
        eventually(lambda: bool(client.set("billing:probe", 1)))
        group.start_server(first)
        seen: list[str] = []

        def answers() -> bool:
            seen.append(group.role(first))
            return True

        eventually(answers)
        assert seen == ["slave"]
    for each in sentinels:
        each.close()


def test_what_no_worker_has_taken_is_what_keda_counts(redis_url: str) -> None:
    """The group's lag, also after entries were applied and deleted."""
    with contextlib.closing(connect(redis_url, timeout_seconds=3)) as client:
        client.flushdb()
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        for _ in range(3):
            for _ in range(10):
                client.xadd(STREAM, {"v": "1"})
            taken = cast("Any", client.xreadgroup(GROUP, "one", {STREAM: ">"}, count=6))[0][1]
            ids = [entry_id for entry_id, _ in taken]
            client.xdel(STREAM, *ids)
            client.xack(STREAM, GROUP, *ids)
        assert cast("Any", client.xinfo_groups(STREAM))[0]["lag"] == 12
        client.flushdb()


def test_the_owner_is_made_once_and_owns_the_database(engines: Engines) -> None:
    """By psql, as the service `owner` runs it; the second run changes nothing."""
    engines.administer("DROP DATABASE IF EXISTS billing WITH (FORCE)")
    try:
        for _ in range(2):
            subprocess.run(
                [
                    *(str(postgres_directory() / "psql"), "--no-psqlrc", "--quiet"),
                    *("--set=ON_ERROR_STOP=1", f"--file={DEPLOY / 'ha' / 'owner.sql'}"),
                    engines.database_url_of("postgres").replace("+psycopg2", ""),
                ],
                env={"PGOPTIONS": f"-c billing.owner_password={PASSWORD}"},
                check=True,
            )
        url = engines.database_url_of("billing")
        login = re.sub(r"//[^@]*@", f"//billing_owner:{PASSWORD}@", url)
        engine = make_engine(login, pool_size=1)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE of_the_owner (id int)"))
        engine.dispose()
    finally:
        engines.administer("DROP DATABASE IF EXISTS billing WITH (FORCE)")
        engines.administer("DROP ROLE IF EXISTS billing_owner")
