"""How long a lease lasts, wherever it is written down: one number, said everywhere."""

import re
from pathlib import Path

import pytest

import celery_config
from db.queue import leases
from db.queue.stream import LEASE_MS

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 18
TOLD = (
    ("celery_config.py", r"lease of (\d+) s"),
    ("docs/decisions/0001-stream-first-inbox-second.md", r"dead worker held for (\d+) s"),
    ("docs/decisions/0014-a-try-is-counted-first.md", r"lease of (\d+) s"),
)


@pytest.mark.parametrize(("file", "pattern"), TOLD)
def test_what_is_written_down_is_the_lease_of_the_code(file: str, pattern: str) -> None:
    """A comment that says another number leads whoever changes one of them."""
    told = re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"))
    assert told == [str(LEASE_SECONDS)]
    assert LEASE_MS == LEASE_SECONDS * 1_000


def test_a_task_is_over_before_its_entries_are_taken_by_another() -> None:
    """Otherwise two processes apply the same entries at once."""
    assert celery_config.SOFT_TIME_LIMIT_SECONDS < celery_config.TIME_LIMIT_SECONDS
    assert LEASE_MS > celery_config.TIME_LIMIT_SECONDS * 1_000
    assert leases.LEASE_SECONDS == LEASE_SECONDS
