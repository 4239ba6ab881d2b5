"""What the product must reach and aims for, by the key of a figure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Two bounds on a figure, in its unit; a floor is to be exceeded, a ceiling kept under."""

    must: float
    aim: float
    is_floor: bool = False


def at_least(must: float, aim: float) -> Target:
    """The more the better."""
    return Target(must, aim, is_floor=True)


def at_most(must: float, aim: float) -> Target:
    """The less the better."""
    return Target(must, aim)


TARGETS: Mapping[str, Target] = {
    "accept.stream.against_gunicorn": at_least(1.0, 2.3),
    "accept.stream.paced.p99": at_most(15, 8),
    # Within a tenth, and what a person would still call nothing.
    "streams.p99.against_none": at_most(1.1, 1.0),
    "streams.memory": at_most(60, 30),
    "apply.stream.against_celery": at_least(10, 20),
    "apply.stream.rate": at_least(3_000, 6_000),
    "apply.stream.cpu": at_most(330, 170),
    "apply.duplicates.against_new": at_least(1.0, 1.0),
    "whole.rate": at_least(2_200, 4_500),
    "whole.at_500.p50": at_most(50, 20),
    "whole.at_500.p99": at_most(250, 100),
    "size.receiver.resident": at_most(70, 70),
    "size.worker.resident": at_most(110, 110),
    "size.redis.bytes": at_most(5_700, 2_000),
    "size.postgres.bytes": at_most(2_500, 2_000),
    "size.backlog_1000000.minutes": at_most(8, 4),
    # No bound was given for flat; this is what a person would still call so.
    "size.backlog_1000000.growth": at_most(20, 5),
    # Ratios inside one run, ours over the other's: a host's speed doubles from day to day.
    "against.accept.rate": at_least(2.0, 2.4),
    "against.accept.cpu": at_most(0.5, 0.42),
    "against.accept.at_500.p99": at_most(1.0, 1.0),
    "against.accept.p99": at_most(0.6, 0.45),
    "against.apply.new.cpu": at_most(0.8, 0.65),
    "against.duplicates.against_new": at_least(2.0, 3.0),
    "against.ignored.against_new": at_least(2.0, 3.0),
    "against.backlog.time": at_most(0.8, 0.6),
    "against.memory.receiver": at_most(1.0, 1.0),
    # As much as then, up to what an allocator makes of the same program twice.
    "against.memory.worker": at_most(1.03, 1.0),
    "whole.against_then.cpu": at_most(0.7, 0.55),
    "whole.against_then.at_500.p50": at_most(1.0, 1.0),
    "whole.against_sync_engine": at_least(2.3, 3.0),
    "whole.against_celery": at_least(14, 18),
    "outbox.unheard.price": at_most(10, 5),
    "outbox.heard.price": at_most(20, 10),
    # A copy of each event on a second disk, beside none, in turn.
    "copies.one.against_none": at_least(0.7, 0.85),
    "copies.one.at_500.p99": at_most(10, 8),
    "growth.dearest": at_most(1.15, 1.15),
}


def verdict(target: Target, value: float) -> str:
    """Whether a figure is where it should be."""
    if _reached(target, value, target.aim):
        return "aim reached"
    return "must reached" if _reached(target, value, target.must) else "MISSED"


def _reached(target: Target, value: float, bound: float) -> bool:
    return value >= bound if target.is_floor else value <= bound
