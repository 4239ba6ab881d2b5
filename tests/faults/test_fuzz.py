"""Nonsense that is properly signed: never a server error, never a dead process, nobody delayed."""

import json
import random
import sys
from pathlib import Path

import pytest

from dev.faults.fuzz import Fuzzed, fuzz
from dev.faults.mutations import mutate
from tests.stripe_objects import a_session, an_event

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals processes by /proc")


def judge(found: Fuzzed, mutants: int) -> None:
    """Every promise about hostile bodies."""
    assert found.is_clean, found
    assert sum(found.answers.values()) == mutants + found.valid
    # Both must have been tried: what the receiver refuses, and what only a worker can judge.
    assert found.answers[400] > mutants / 20
    assert found.answers[200] > found.valid + mutants / 20


@pytest.mark.faults
@pytest.mark.timeout(180)
def test_two_thousand_mutants_harm_nobody(tmp_path: Path) -> None:
    """The short form; the long one sends ten times as many."""
    judge(fuzz(2_000, 7, log_path=tmp_path / "product.log"), 2_000)


@pytest.mark.faults_long
@pytest.mark.timeout(900)
def test_twenty_thousand_mutants_harm_nobody(tmp_path: Path) -> None:
    """As many as the published run, with another seed."""
    judge(fuzz(20_000, 8, log_path=tmp_path / "product.log"), 20_000)


def test_mutations_repeat_with_the_seed_and_leave_the_event_alone() -> None:
    """A failure must be repeatable from the figure that was printed."""
    event = an_event("checkout.session.completed", a_session())
    before = json.dumps(event)
    once = [mutate(event, random.Random(seed)) for seed in range(300)]  # noqa: S311 - no secret.
    again = [mutate(event, random.Random(seed)) for seed in range(300)]  # noqa: S311 - as above.
    assert once == again
    assert json.dumps(event) == before
    assert len(set(once)) > 290
