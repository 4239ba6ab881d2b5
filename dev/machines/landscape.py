"""All machines of a run: what is on each, how they come up, and when all is as it should be."""

import http.client
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

import psycopg2
import redis

from db.bodies import NEWEST
from db.queue.stream import STREAM, connect
from dev.faults.product import NO_STRIPE, ROOT
from dev.faults.releases import Release
from dev.machines import enclosure, namespaces
from dev.machines.machine import Machine, MachineError, Service, Supervisor
from dev.machines.postgreses import Postgreses
from dev.machines.promoter import Promoter
from dev.machines.rabbits import TICK_SECONDS, Rabbits
from dev.machines.sender import PORT
from dev.machines.valkeys import Valkeys
from dev.up.processes import account_for
from sandbox.simulate.plans import SAMPLE_PLANS
from sandbox.simulate.wire import BROKEN

ROLES: Mapping[str, Sequence[str]] = {
    "r": ("web",),
    "w": ("worker", "--concurrency", "2"),
    "b": ("beat",),
}
TITLES = {
    "s": "Valkey and Sentinel",
    "p": "PostgreSQL",
    "q": "RabbitMQ",
    "r": "receiver",
    "w": "worker",
    "b": "scheduler",
}
WHOLE_SECONDS_MAX = 100.0
READY_SECONDS_MAX = 5.0
# What waits in a moment in which all is well.
WAITING_MAX = 40
SECRET = "whsec_of_the_machines"  # noqa: S105 - nobody outside reaches them.
JWT_SECRET = "of the machines, and thirty-two bytes long"  # noqa: S105 - as above.
_PLACES = {"s": 10, "p": 20, "q": 30, "r": 40, "w": 50, "b": 60}


class Landscape:
    """Three Valkeys, PostgreSQLs and, where they are to be the broker, RabbitMQs; two of the rest.

    A context manager; `tell` hears what the promoter does.
    """

    def __init__(
        self,
        directory: Path,
        tell: Callable[[str], None],
        *,
        root: Path = ROOT,
        with_rabbits: bool,
        tick_seconds: int = TICK_SECONDS,
    ) -> None:
        """`root` is the checkout of the product that is to run."""
        self.release = Release(root)
        self._directory = directory
        self._tell = tell
        kinds = {"s": 3, "p": 3, **({"q": 3} if with_rabbits else {}), "r": 2, "w": 2, "b": 2}
        self.machines = {
            f"{kind}{number}": self._machine(kind, number)
            for kind, count in kinds.items()
            for number in range(1, count + 1)
        }
        account = account_for(self.machines["p1"].directory / "postgres")
        self.valkeys = Valkeys(self.of("s"))
        self.postgreses = Postgreses(self.of("p"), account)
        self.rabbits = Rabbits(self.of("q"), tick_seconds=tick_seconds) if with_rabbits else None
        for kind, words in ROLES.items():
            for machine in self.of(kind):
                machine.services.append(self.service(machine, words, self.release))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            self._stack.callback(self._kill_all)
            if enclosure.is_enclosed():
                namespaces.open_network()
            self._begin()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, kind: str) -> list[Machine]:
        """All machines of a kind, by its letter."""
        return [each for name, each in self.machines.items() if name.startswith(kind)]

    def rack(self, number: int) -> list[Machine]:
        """One machine of each kind, which is what one host may carry."""
        return [each for name, each in self.machines.items() if name.endswith(str(number))]

    def service(self, machine: Machine, words: Sequence[str], release: Release) -> Service:
        """A role of a release, to be started on a machine."""
        command = (str(release.python), str(release.root / "manage.py"), *words)
        log_path = machine.directory / f"{words[0]}.log"
        return Service(words[0], command, self.environment(machine, release), log_path)

    def environment(self, machine: Machine, release: Release) -> dict[str, str]:
        """What a process of the product is told."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(machine.directory),
            "PYTHONPATH": str(release.root),
            "BILLING_DATA": str(machine.directory / "data"),
            "DATABASE_URL": self.postgreses.url,
            "DATABASE_COPIES": "1",
            "REDIS_URL": self.valkeys.url,
            "REDIS_COPIES": "1",
            **({"CELERY_BROKER_URL": self.rabbits.url} if self.rabbits else {}),
            "HOST": machine.address,
            "PORT": str(PORT),
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "JWT_SECRET": JWT_SECRET,
            # What keeps the way back open, where the release to come has a newer one.
            "BODY_DICTIONARY": str(NEWEST),
            "LOG_FORMAT": "json",
            **NO_STRIPE,
        }

    @property
    def settings(self) -> Mapping[str, str]:
        """Each store's primary of this moment, for those who judge."""
        primary = self.valkeys.primary()
        if primary is None:
            raise MachineError("no Valkey is the primary")
        return {
            "DATABASE_URL": self.postgreses.primary.url(),
            "REDIS_URL": self.valkeys.url_of(primary),
            "JWT_SECRET": JWT_SECRET,
            "STRIPE_WEBHOOK_SECRET": SECRET,
        }

    @property
    def base_url(self) -> str:
        """Where a receiver answers."""
        return f"http://{self.of('r')[0].address}:{PORT}"

    def await_whole(self) -> None:
        """Return when everything runs, is copied, and nothing much waits."""
        deadline = time.monotonic() + WHOLE_SECONDS_MAX
        while lacking := self.lacks():
            if time.monotonic() > deadline:
                raise MachineError(f"{lacking}, in {WHOLE_SECONDS_MAX:.0f} s")
            time.sleep(0.3)

    def lacks(self) -> str:
        """What is not as it should be; empty where all is."""
        for machine in self.machines.values():
            for service in machine.services:
                if not (machine.is_up and service.is_running):
                    return f"{service.name} of {machine.name} does not run"
        if not self.valkeys.is_whole():
            return "the Valkeys are not whole"
        if not self.postgreses.is_whole():
            return "the PostgreSQLs are not whole"
        for machine in self.of("r"):
            if unready := _unready(machine):
                return unready
        if self.rabbits and not self.rabbits.is_whole():
            return "the RabbitMQs are not whole"
        return "" if self.waiting() <= WAITING_MAX else "events wait"

    def waiting(self) -> int:
        """How many events wait, in the stream and in the inbox."""
        try:
            with closing(connect(self.settings["REDIS_URL"], timeout_seconds=2.0)) as client:
                in_stream = int(client.xlen(STREAM))
            with self.postgreses.primary.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM webhook_events WHERE status NOT IN ('applied', 'ignored')"
                )
                return in_stream + int(cursor.fetchone()[0])
        except (OSError, psycopg2.Error, MachineError, redis.RedisError):
            return WAITING_MAX + 1

    def _machine(self, kind: str, number: int) -> Machine:
        name = f"{kind}{number}"
        place = self._directory / name
        place.mkdir(mode=0o711)
        last = _PLACES[kind] + number
        if not enclosure.is_enclosed():
            return Machine(name, f"127.0.1.{last}", place)
        # Two of the workers' machines have one name, as clones of an image do.
        host = "worker" if kind == "w" else name
        return namespaces.Namespace(name, f"{namespaces.SUBNET}.{last}", place, host=host)

    def _begin(self) -> None:
        for kind in ("p", "s", "q"):
            for machine in self.of(kind):
                machine.begin()
        self.postgreses.create()
        self._stack.enter_context(Supervisor(list(self.machines.values())))
        self._stack.enter_context(Promoter(self.postgreses, self._tell))
        self._once_whole(self.postgreses.is_whole, "the PostgreSQLs do not come up")
        if self.rabbits:
            self.rabbits.await_all()
        others = [machine for kind in ROLES for machine in self.of(kind)]
        for machine in others:
            for service in machine.services:
                service.is_wanted = False
            machine.begin()
        for words in (("migrate",), ("load_plans", str(SAMPLE_PLANS))):
            command = (sys.executable, str(self.release.root / "manage.py"), *words)
            others[0].once(*command, environment=self.environment(others[0], self.release))
        self._once_whole(self.valkeys.is_whole, "the Valkeys do not come up")
        for machine in others:
            for service in machine.services:
                service.is_wanted = True

    def _once_whole(self, is_whole: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WHOLE_SECONDS_MAX
        while not is_whole():
            if time.monotonic() > deadline:
                raise MachineError(what)
            time.sleep(0.2)

    def _kill_all(self) -> None:
        for machine in self.machines.values():
            machine.kill()


def _unready(machine: Machine) -> str:
    """What a receiver says it lacks; empty where it is ready."""
    connection = http.client.HTTPConnection(machine.address, PORT, timeout=READY_SECONDS_MAX)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse().read().decode()
    except BROKEN as error:
        return f"{machine.name} is not ready: {type(error).__name__}"
    finally:
        connection.close()
    return "" if '"ready"' in answer else f"{machine.name} is not ready: {answer}"
