"""The table of losses: each machine alone, racks of one of each kind, and what needs two faults."""

import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dev.faults.load import Load
from dev.faults.releases import Release
from dev.machines.landscape import ROLES, TITLES, Landscape
from dev.machines.machine import Machine, MachineError
from dev.machines.postgreses import Server
from dev.machines.sender import Answers

SOON_SECONDS, LATE_SECONDS, STOP_SECONDS = 2.0, 20.0, 35.0
STALL_SECONDS = 5.0
# More comes in where a backlog is to be at stake.
BACKLOG_RATE = 150.0
AWAIT_SECONDS_MAX = 40.0
# A role of another release takes over: so long both run.
SIDE_BY_SIDE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where machines are lost; `following` is a release that takes the place of today's."""

    landscape: Landscape
    load: Load
    answers: Answers
    chance: random.Random
    following: Release

    @contextlib.contextmanager
    def disturbed(self, *machines: Machine) -> Iterator[None]:
        """Nobody waits for these machines until a while after the block."""
        places = [(machine, self.answers.disturb(machine)) for machine in machines]
        try:
            yield
        finally:
            for machine, place in places:
                self.answers.settle(machine, place)

    def await_true(self, holds: Callable[[], bool], what: str) -> None:
        """Return when it holds; raises `MachineError` when that takes too long."""
        deadline = time.monotonic() + AWAIT_SECONDS_MAX
        while not holds():
            if time.monotonic() > deadline:
                raise MachineError(f"{what}, in {AWAIT_SECONDS_MAX:.0f} s")
            time.sleep(0.1)

    def redis_primary(self) -> Machine:
        """The Valkey that the Sentinels call the primary."""
        primary = self.landscape.valkeys.primary()
        if primary is None:
            raise MachineError("the Sentinels name no primary")
        return primary


@dataclass(frozen=True, slots=True)
class Loss:
    """One way to lose something; `seconds` is about how long it and its recovery take.

    `wants` says what it cannot do without: `links` that can be cut, `rabbits`.
    """

    title: str
    inflict: Callable[[Stage], None]
    seconds: float
    wants: frozenset[str] = frozenset()


def killed(stage: Stage, machines: Sequence[Machine], seconds: float, *, silently: bool) -> None:
    """Lose machines, and bring them back with the data that they had."""
    with stage.disturbed(*machines):
        for machine in machines:
            machine.kill(silently=silently)
        time.sleep(seconds)
        for machine in machines:
            machine.begin()


def stopped(stage: Stage, machines: Sequence[Machine], seconds: float = STOP_SECONDS) -> None:
    """Let machines stand still, and go on as if nothing had been."""
    with stage.disturbed(*machines):
        for machine in machines:
            machine.stop()
        time.sleep(seconds)
        for machine in machines:
            machine.go_on()


def replicas_stall_and_the_primary_is_lost(stage: Stage) -> None:
    """Both replicas are cut off amid a backlog; then the primary is lost, and they are back."""
    landscape, primary = stage.landscape, stage.redis_primary()
    replicas = [each for each in landscape.of("s") if each is not primary]
    with stage.disturbed(primary, *replicas), stage.load.at_rate(BACKLOG_RATE):
        # So that what is accepted waits in Redis, and is nowhere else. Receivers that have just
        # begun, or that missed Redis a moment ago, still use the inbox.
        stage.await_true(lambda: _goes_to(stage, primary), "receivers do not use Redis")
        for worker in landscape.of("w"):
            worker.stop()
        for replica in replicas:
            replica.cut()
        time.sleep(STALL_SECONDS)
        primary.kill(silently=True)
        for replica in replicas:
            replica.join()
        for worker in landscape.of("w"):
            worker.go_on()
        stage.await_true(lambda: _is_replaced(stage, primary), "no replica was promoted")
        time.sleep(STALL_SECONDS)
        primary.begin()


def a_replaced_redis_is_written_to(stage: Stage) -> None:
    """Only the receivers still reach the primary; it is replaced, and then it comes back."""
    landscape, primary = stage.landscape, stage.redis_primary()
    others = [each for each in landscape.machines.values() if each not in landscape.of("r")]
    addresses = [each.address for each in others if each is not primary]
    with stage.disturbed(primary), stage.load.at_rate(BACKLOG_RATE):
        with primary.without_route_to(addresses):
            stage.await_true(lambda: _is_replaced(stage, primary), "no replica was promoted")
            time.sleep(STALL_SECONDS)
        role = landscape.valkeys.role
        stage.await_true(lambda: role(primary) == "slave", "the old primary is one still")


def a_replaced_postgres_comes_back(stage: Stage) -> None:
    """An old primary is back, first of the list, and asks no standby; everybody connects anew."""
    landscape = stage.landscape
    old, before = landscape.postgreses.primary, landscape.postgreses.primary
    careful = old.service.command
    with stage.disturbed(old.machine, *landscape.of("r"), *landscape.of("w")):
        old.machine.kill(silently=True)
        stage.await_true(
            lambda: landscape.postgreses.primary is not before, "no standby was promoted"
        )
        # As an operator leaves it who let go of the standbys while they were away.
        old.service.command = [*careful, "-c", "synchronous_standby_names="]
        old.machine.begin()
        # Whatever is started there later is as careful as before.
        old.service.command = careful
        stage.await_true(lambda: old.standing() is not None, "the old primary does not start")
        for machine in (*landscape.of("r"), *landscape.of("w")):
            machine.kill()
            machine.begin()
        stage.await_true(lambda: _is_standby(old), "the old primary is one still")


def releases_roll(stage: Stage) -> None:
    """Each role is replaced by the release to come, machine after machine, and then back again."""
    landscape = stage.landscape
    with stage.disturbed(*landscape.of("r")):
        for release in (stage.following, landscape.release):
            for kind in stage.chance.sample("rwb", 3):
                for machine in landscape.of(kind):
                    _replace(stage, machine, kind, release)


def _replace(stage: Stage, machine: Machine, kind: str, release: Release) -> None:
    [before] = machine.services
    machine.end(before, signal.SIGTERM)
    service = stage.landscape.service(machine, ROLES[kind], release)
    with machine.lock:
        machine.services[:] = [service]
        machine.start(service)
    time.sleep(SIDE_BY_SIDE_SECONDS)


def _goes_to(stage: Stage, primary: Machine) -> bool:
    """Whether all that is accepted in a second is put into this Redis, by either receiver."""
    valkeys, accepted = stage.landscape.valkeys, stage.load.accepted
    before, appended = len(accepted), valkeys.appended(primary)
    time.sleep(1.0)
    return 0 < len(accepted) - before <= valkeys.appended(primary) - appended


def _is_replaced(stage: Stage, primary: Machine) -> bool:
    return stage.landscape.valkeys.primary() not in (None, primary)


def _is_standby(server: Server) -> bool:
    standing = server.standing()
    return standing is not None and not standing.is_primary


def _rabbit_leader_stopped(stage: Stage) -> None:
    assert stage.landscape.rabbits
    stopped(stage, [stage.landscape.rabbits.leader()])


STALLED_REPLICAS = Loss(
    "Redis: both replicas stall for 5 s, then the primary is lost, amid a backlog",
    replicas_stall_and_the_primary_is_lost,
    30,
    frozenset({"links"}),
)
REPLACED_REDIS = Loss(
    "Redis: a primary that only receivers reach is replaced, and comes back",
    a_replaced_redis_is_written_to,
    25,
    frozenset({"links"}),
)
REPLACED_POSTGRES = Loss(
    "PostgreSQL: an old primary comes back, first of the list, and asks no standby",
    a_replaced_postgres_comes_back,
    40,
)
RABBIT_LEADER = Loss(
    "RabbitMQ: the queue's leader stands still for 35 s",
    _rabbit_leader_stopped,
    45,
    frozenset({"rabbits"}),
)
ROLLING = Loss("a rolling upgrade, and the way back", releases_roll, 50)


def every(landscape: Landscape) -> list[Loss]:
    """All losses of a landscape."""
    alone = [_alone(machine) for machine in landscape.machines.values()]
    racks = [_rack(number, how) for number in (1, 2, 3) for how in ("lost", "stopped")]
    two_fold = [STALLED_REPLICAS, REPLACED_REDIS, RABBIT_LEADER, ROLLING]
    return [*alone, *racks, *two_fold]


def _alone(machine: Machine) -> Loss:
    def inflict(stage: Stage) -> None:
        killed(stage, [machine], SOON_SECONDS, silently=False)

    title = f"{machine.name} ({TITLES[machine.name[0]]}) killed, back after 2 s"
    return Loss(title, inflict, 8)


def _rack(number: int, how: str) -> Loss:
    def lose(stage: Stage) -> None:
        killed(stage, stage.landscape.rack(number), LATE_SECONDS, silently=True)

    def stop(stage: Stage) -> None:
        stopped(stage, stage.landscape.rack(number))

    if how == "lost":
        return Loss(f"rack {number} vanishes, back after 20 s", lose, 28)
    return Loss(f"rack {number} stands still for 35 s", stop, 42)
