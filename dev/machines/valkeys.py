"""Three Valkeys, one of which takes writes, and beside each a Sentinel that watches it."""

import contextlib
from collections.abc import Sequence
from contextlib import closing
from typing import Any, cast

import redis

from db.queue.stream import STREAM, connect
from dev.machines.machine import Machine, Service
from dev.up.suppliers import valkey_server
from dev.up.valkey import SETTINGS

PORT, SENTINEL_PORT = 6379, 26379
NAME = "main"
PASSWORD = "of-the-machines"  # noqa: S105 - of servers that nobody else reaches.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
# As in deploy/ha/sentinel.sh.
_SENTINEL = """\
bind {address}
port {port}
dir "{home}"
sentinel announce-ip {address}
sentinel monitor {name} {first} {first_port} 2
sentinel auth-pass {name} {password}
sentinel down-after-milliseconds {name} 3000
sentinel failover-timeout {name} 10000
sentinel parallel-syncs {name} 1
"""


class Valkeys:
    """The servers and the Sentinels of the same machines, in the order in which clients ask."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.machines = list(machines)
        for machine in machines:
            self._write(machine)

    @property
    def url(self) -> str:
        """All of them, as the product's settings name them."""
        hosts = ",".join(f"{each.address}:{SENTINEL_PORT}" for each in self.machines)
        return f"redis+sentinel://:{PASSWORD}@{hosts}/{NAME}/0"

    def url_of(self, machine: Machine) -> str:
        """One of them alone."""
        return f"redis://:{PASSWORD}@{machine.address}:{PORT}/0"

    def primary(self) -> Machine | None:
        """Whom most Sentinels call the primary now."""
        named = [self._named(machine) for machine in self.machines]
        for machine in self.machines:
            if named.count(machine.address) > len(self.machines) // 2:
                return machine
        return None

    def is_whole(self) -> bool:
        """Whether all Sentinels agree, and know of nothing that is down or behind."""
        primary = self.primary()
        if primary is None:
            return False
        try:
            with closing(connect(self.url_of(primary), timeout_seconds=1.0)) as client:
                told = client.info("replication")
            replicas = [told.get(f"slave{number}", {}) for number in range(2)]
            is_copied = all(each.get("state") == "online" for each in replicas)
            return bool(told["role"] == "master" and is_copied and self._agree(primary))
        except (redis.RedisError, OSError):
            return False

    def role(self, machine: Machine) -> str:
        """What a server says it is: `master`, `slave`, or nothing."""
        with (
            contextlib.suppress(redis.RedisError, OSError),
            closing(connect(self.url_of(machine), timeout_seconds=1.0)) as client,
        ):
            return str(client.info("replication")["role"])
        return ""

    def appended(self, machine: Machine) -> int:
        """How many entries a server's stream ever had; none where it cannot be asked."""
        with (
            contextlib.suppress(redis.RedisError, OSError),
            closing(connect(self.url_of(machine), timeout_seconds=1.0)) as client,
        ):
            return int(client.xinfo_stream(STREAM)["entries-added"])
        return 0

    def _agree(self, primary: Machine) -> bool:
        for machine in self.machines:
            state = self._state(machine)
            if not state or state["ip"] != primary.address or state["flags"] != "master":
                return False
            others = len(self.machines) - 1
            if state["num-other-sentinels"] != others or state["num-slaves"] != others:
                return False
        return True

    def _named(self, machine: Machine) -> str:
        state = self._state(machine)
        return str(state["ip"]) if state else ""

    def _state(self, machine: Machine) -> dict[str, Any]:
        url = f"redis://{machine.address}:{SENTINEL_PORT}"
        if not machine.is_up or machine.is_stopped:
            return {}
        with (
            contextlib.suppress(redis.RedisError, OSError, KeyError),
            closing(connect(url, timeout_seconds=1.0)) as client,
        ):
            return dict(cast("Any", client.sentinel_masters())[NAME])
        return {}

    def _write(self, machine: Machine) -> None:
        first, address = self.machines[0].address, machine.address
        home = machine.directory
        settings = SETTINGS.replace("bind 127.0.0.1", f"bind {address}")
        settings += f'port {PORT}\ndir "{home}"\nrequirepass {PASSWORD}\nmasterauth {PASSWORD}\n'
        settings += f"repl-diskless-sync-delay 0\nreplica-announce-ip {address}\n"
        if machine is not self.machines[0]:
            settings += f"replicaof {first} {PORT}\n"
        # Both are rewritten by the servers themselves: an old primary comes back as one.
        server, sentinel = home / "valkey.conf", home / "sentinel.conf"
        server.write_text(settings, encoding="utf-8")
        told = {"address": address, "port": SENTINEL_PORT, "home": home, "name": NAME}
        told |= {"first": first, "first_port": PORT, "password": PASSWORD}
        sentinel.write_text(_SENTINEL.format(**told), encoding="utf-8")
        for name, words in (("valkey", (server,)), ("sentinel", (sentinel, "--sentinel"))):
            command = (str(valkey_server()), *map(str, words))
            log_path = home / f"{name}.log"
            machine.services.append(Service(name, command, _ENVIRONMENT, log_path))
