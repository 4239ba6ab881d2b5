"""The garbage collector rests while a batch is applied, and only then."""

import gc

import pytest
from celery.signals import worker_process_init

import workers.tasks  # noqa: F401 - it listens to Celery.
from workers.pipeline.collecting import without_collector


def test_the_collector_rests_inside_and_runs_again_afterwards() -> None:
    """Also where what is inside fails."""
    with without_collector():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), without_collector():
        assert 1 / 0
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    """Whoever put it off puts it on again."""
    gc.disable()
    try:
        with without_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_a_process_of_the_pool_starts_with_is_never_looked_at_again() -> None:
    """Celery says when a process of the pool begins."""
    assert gc.get_freeze_count() == 0
    try:
        worker_process_init.send(sender=None)
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
