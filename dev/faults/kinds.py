"""The table of faults: what each is called in a report, and which belong to which run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dev.faults import crashes, stalls, stripe
from dev.faults.disk import disk_full
from dev.faults.questions import trouble
from dev.faults.stage import Stage


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break the product; `seconds` is about how long it and its recovery take."""

    title: str
    inject: Callable[[Stage], None]
    seconds: float


KILLS = (
    Fault("worker child killed mid-transaction", crashes.worker_child_mid_transaction, 2),
    Fault("worker child killed after commit", crashes.worker_child_after_commit, 3),
    Fault("worker child killed", crashes.worker_child, 1),
    Fault("worker killed", crashes.worker, 3),
    Fault("receiver killed before its answer", crashes.receiver_before_its_answer, 3),
    Fault("receiver killed amid packets", crashes.receiver_amid_packets, 20),
    Fault("receiver killed", crashes.receiver, 3),
    Fault("scheduler killed", crashes.beat, 3),
    Fault("Redis killed amid packets", crashes.redis_amid_packets, 20),
    Fault("Redis killed", crashes.redis_server, 3),
    Fault("PostgreSQL killed", crashes.postgres_server, 3),
    Fault("Redis and PostgreSQL killed", crashes.both_servers, 7),
    Fault("everything killed", crashes.everything, 6),
)
ABSENCES = (
    Fault("Redis away for seconds", crashes.redis_server_for_long, 8),
    Fault("PostgreSQL away for seconds", crashes.postgres_server_for_long, 8),
    Fault("PostgreSQL restarted", stalls.database_restarted, 4),
    Fault("deploy under load", crashes.deploy, 15),
)
STOPS = (
    *(
        Fault(f"{title} stopped for 10 s", stalls.stopped(role), 12)
        for role, title in (
            ("receiver", "receiver"),
            ("worker", "worker"),
            ("beat", "scheduler"),
            ("redis", "Redis"),
            ("postgres", "PostgreSQL"),
        )
    ),
    Fault("worker child stopped mid-transaction", stalls.worker_child_stopped, 12),
    Fault("PostgreSQL backend stopped mid-transaction", stalls.backend_stopped, 12),
)
SHORTAGES = (
    Fault("Redis out of memory", stalls.redis_full, 8),
    Fault("Redis out of memory, worker killed", stalls.redis_full_at_start, 14),
    Fault("Redis slow", stalls.redis_slow, 3),
    Fault("Redis late again and again", stalls.redis_late, 9),
    Fault("Redis file rewritten", stalls.log_rewritten, 1),
    Fault("wake-ups lost", stalls.wake_ups_lost, 1),
    Fault("PostgreSQL out of connections", stalls.connections_gone, 8),
    Fault("clocks apart", stalls.clock_off, 5),
)
# What takes too long for the short form.
SIEGES = (
    Fault("worker killed every few seconds", crashes.worker_again_and_again, 18),
    Fault("worker stopped for good", stalls.stopped_for_good("worker"), 25),
    Fault("scheduler stopped for good", stalls.stopped_for_good("beat"), 25),
)
# Only on a disk of its own.
DISK = (Fault("disk full under both engines", disk_full, 20),)
# Only with a Stripe that can be asked.
STRIPE = (
    Fault("Stripe hangs", trouble(stripe.HANGS), 30),
    Fault("Stripe slow", trouble(stripe.SLOW), 16),
    Fault("Stripe answers 500", trouble(stripe.ERRS), 28),
    Fault("Stripe answers 429", trouble(stripe.BUSY), 28),
)

GROUPS: Mapping[str, tuple[Fault, ...]] = {
    "kills": KILLS,
    "absences": ABSENCES,
    "stops": STOPS,
    "shortages": SHORTAGES,
}
EVERY = tuple(fault for group in (*GROUPS.values(), SIEGES) for fault in group)
