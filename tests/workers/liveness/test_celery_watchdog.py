"""The watchdog ends a worker that receives nothing any more, and none that is busy or idle."""

from collections.abc import Iterator

import redis

from workers.liveness.celery_watchdog import IDLE_ROUNDS_MAX, SILENT_ROUNDS_MAX, Reception, watch


def test_messages_that_wait_longer_than_any_task_takes_are_proof() -> None:
    """One round less is none."""
    reception = Reception()
    assert not any(reception.is_lost(3, in_hand=2) for _ in range(SILENT_ROUNDS_MAX))
    assert reception.is_lost(3, in_hand=2)


def test_while_no_task_runs_the_proof_is_sooner() -> None:
    """Then nothing can keep it from receiving; events wait meanwhile."""
    reception = Reception()
    assert not any(reception.is_lost(3, in_hand=0) for _ in range(IDLE_ROUNDS_MAX))
    assert reception.is_lost(3, in_hand=0)
    assert IDLE_ROUNDS_MAX < SILENT_ROUNDS_MAX


def test_a_message_received_or_an_empty_queue_begins_the_count_again() -> None:
    """Another worker may have emptied the queue; then there was nothing to receive."""
    reception = Reception()
    for sign in (reception.message_received, lambda: reception.is_lost(0, in_hand=1)):
        assert not any(reception.is_lost(1, in_hand=1) for _ in range(SILENT_ROUNDS_MAX))
        sign()
    assert not reception.is_lost(1, in_hand=1)


def test_a_redis_that_is_away_proves_nothing_and_takes_nothing_back() -> None:
    """Mostly the worker reconnects; one that has stopped receiving does so through each outage."""
    rounds = SILENT_ROUNDS_MAX
    away = [redis.ConnectionError()] * (2 * rounds)
    answers: Iterator[int | Exception] = iter([*[1] * rounds, *away, 1])
    asked: list[int] = []

    def waiting() -> int:
        asked.append(1)
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    ended: list[str] = []
    watch(waiting, lambda: 2, Reception(), lambda: ended.append("restarted"), interval_seconds=0)
    assert ended == ["restarted"]
    assert len(asked) == 3 * rounds + 1
