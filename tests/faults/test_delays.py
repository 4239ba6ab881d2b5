"""Whose a delay is: a Stripe's that is in trouble, or a Redis' that cannot be used meanwhile."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dev.faults.load import Load
from dev.faults.log import warned, without_redis
from dev.faults.stripe import StandIn
from dev.faults.verdict import delays
from sandbox.simulate.engine import Engine

TEN = datetime(2026, 11, 29, 10, tzinfo=UTC).timestamp()
LINES = (
    "Ready in 3.0 s.",
    "receiver   | 2026-11-29T10:00:10.0Z [warning  ] redis refused, the inbox takes over error=T",
    "receiver   | 2026-11-29T10:00:12.0Z [warning  ] wake-up not sent   error=OperationalError",
    "worker     | 2026-11-29T10:00:13.0Z [info     ] batch committed    applied=3",
    "receiver   | 2026-11-29T10:00:14.0Z [info     ] redis answers again  origin=ingest",
    "receiver   | 2026-11-29T10:01:00.0Z [warning  ] redis refused, the inbox takes over error=T",
    "worker     | 2026-11-29T10:01:01.0Z [error    ] endpoint cannot be reached",
)


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    """A log in which Redis is away twice, the second time to the end."""
    path = tmp_path / "product.log"
    path.write_text("\n".join(LINES))
    return path


def test_a_failed_run_tells_what_went_wrong_while_the_slowest_event_waited(log_path: Path) -> None:
    """Warnings and errors of any process, and nothing from before or after."""
    assert warned(log_path, TEN + 11, TEN + 30) == [LINES[2]]
    assert warned(log_path, TEN + 11, TEN + 90) == [LINES[2], *LINES[5:]]


def test_the_log_tells_when_redis_was_left_alone(log_path: Path) -> None:
    """With a second on each side; to the end where it never came back."""
    assert without_redis(log_path) == [(TEN + 9, TEN + 15), (TEN + 59, float("inf"))]


def test_what_had_to_do_without_redis_is_not_compared() -> None:
    """Nor what is sent in a hurry, or was never applied; the rest is Stripe's or nobody's."""
    load = Load("", "whsec_test", [], rate=1, seed=1)
    load.accepted = {"usual": 10.0, "troubled": 14.0, "without": 22.0, "lost": 24.0, "late": 31.0}
    load.hurries_since = 30.0
    stripe = StandIn({}, Engine(seed=1, run="delays", starts_at=0), troubles=[(15.0, 25.0)])
    applied = {"usual": 10.5, "troubled": 15.5, "without": 27.0, "late": 39.0}
    assert delays(applied, load, stripe, [(23.0, 24.0)]) == ([1.5], [0.5])
