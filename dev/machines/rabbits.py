"""Three RabbitMQs as one cluster, whose queue is copied by a quorum of them."""

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import celery_config
from dev.machines.machine import Machine, MachineError, Service

# The scripts themselves: what lies on PATH changes its user.
PROGRAMS = Path("/usr/lib/rabbitmq/bin")
PORT = 5672
COOKIE = "OFTHEMACHINES"
START_SECONDS_MAX = 90.0
# One that vanishes is missed before it is back: else it may hang as it starts. 60 by default.
TICK_SECONDS = 10
_CONFIG = """\
listeners.tcp.1 = {address}:5672
loopback_users = none
cluster_partition_handling = pause_minority
net_ticktime = {tick_seconds}
cluster_formation.peer_discovery_backend = classic_config
disk_free_limit.absolute = 50MB
"""


def reason_against() -> str:
    """Why there can be no RabbitMQ here; empty where there can."""
    if not (PROGRAMS / "rabbitmq-server").exists() or not shutil.which("erl"):
        return "there is no rabbitmq-server on this machine"
    return ""


class Rabbits:
    """The nodes, in the order in which clients try them."""

    def __init__(self, machines: Sequence[Machine], *, tick_seconds: int = TICK_SECONDS) -> None:
        """`tick_seconds` is how long they take to miss one that vanishes."""
        self.machines = list(machines)
        self._tick_seconds = tick_seconds
        for machine in machines:
            self._write(machine)

    @property
    def url(self) -> str:
        """All of them, as Celery names them."""
        return ";".join(f"amqp://guest:guest@{each.address}:{PORT}//" for each in self.machines)

    def await_all(self) -> None:
        """Return when all listen; raises `MachineError` when that takes too long."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while not all(map(self._listens, self.machines)):
            if time.monotonic() > deadline:
                raise MachineError("the RabbitMQs do not start in time")
            time.sleep(0.2)

    def leader(self) -> Machine:
        """Who leads the queue now; raises `MachineError` where nobody does."""
        for machine in self.machines:
            for queue in self._queues(machine):
                for each in self.machines:
                    if str(queue["leader"]).endswith(f"@{each.address}"):
                        return each
        raise MachineError("nobody leads the queue of RabbitMQ")

    def is_whole(self) -> bool:
        """Whether every node listens and has the queue."""
        if not all(map(self._listens, self.machines)):
            return False
        with contextlib.suppress(MachineError):
            queues = self._queues(self.machines[0])
            return bool(queues) and len(queues[0]["online"]) == len(self.machines)
        return False

    def _queues(self, machine: Machine) -> list[dict[str, Any]]:
        if not machine.is_up or machine.is_stopped:
            return []
        words = ("list_queues", "--quiet", "--formatter", "json", "--timeout", "8")
        answer = machine.once(
            str(PROGRAMS / "rabbitmqctl"),
            *words,
            *("name", "leader", "online"),
            environment=self._environment(machine),
        )
        queues: list[dict[str, Any]] = json.loads(answer or "[]")
        return [queue for queue in queues if queue["name"] == celery_config.QUORUM_QUEUE]

    @staticmethod
    def _listens(machine: Machine) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((machine.address, PORT), 1):
            return True
        return False

    def _write(self, machine: Machine) -> None:
        home = machine.directory
        nodes = "".join(
            f"cluster_formation.classic_config.nodes.{number} = rabbit@{each.address}\n"
            for number, each in enumerate(self.machines, 1)
        )
        config = _CONFIG.format(address=machine.address, tick_seconds=self._tick_seconds) + nodes
        (home / "rabbitmq.conf").write_text(config, encoding="utf-8")
        (home / "plugins").write_text("[].\n", encoding="utf-8")
        cookie = home / ".erlang.cookie"
        cookie.write_text(COOKIE, encoding="utf-8")
        cookie.chmod(0o400)
        command = (str(PROGRAMS / "rabbitmq-server"),)
        log_path = home / "rabbitmq.log"
        machine.services.append(Service("rabbitmq", command, self._environment(machine), log_path))

    @staticmethod
    def _environment(machine: Machine) -> dict[str, str]:
        home = machine.directory
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "RABBITMQ_NODENAME": f"rabbit@{machine.address}",
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            # Two cores carry all machines: none may turn idly.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
