"""Whose turn it is to ask Stripe, of all workers together, and how Stripe answered of late.

One at a time: a Stripe that hangs then holds up one process of a worker, and its others go on
applying events. The turn is a row and runs out by itself, so no transaction and no lock is held
while somebody waits for an answer.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

# What may wait for its turn, the least urgent first: a reading of Stripe's list.
CAUSES = ("after_outage", "tick", "goes_on")


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that was had: after so many `failures` in a row; while it `is_paused`, do not ask."""

    failures: int
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """How often in a row Stripe did not answer, and since how many seconds."""

    failures: int
    since_seconds: float


def take(connection: Connection, holder: str, *, lease_seconds: float) -> Turn | None:
    """Have the turn for so long; None while another has it. Again by its holder: longer."""
    row = connection.execute(_TAKE, {"holder": holder, "lease": lease_seconds}).one_or_none()
    return Turn(row.failures, row.is_paused) if row else None


def give_back(connection: Connection, holder: str) -> None:
    """End a turn; nothing when it had run out and is another's."""
    connection.execute(_GIVE_BACK, {"holder": holder})


def failed(connection: Connection, *, pause_seconds: float) -> None:
    """Stripe did not answer: nobody asks for so long."""
    connection.execute(_FAILED, {"pause": pause_seconds})


def succeeded(connection: Connection) -> bool:
    """Stripe answered; True when it had not before."""
    return connection.execute(_SUCCEEDED).rowcount == 1


def wait(connection: Connection, cause: str) -> None:
    """Remember that a reading found the turn taken; of several causes the most urgent."""
    connection.execute(_WAIT, {"cause": cause, "causes": list(CAUSES)})


def next_waiting(connection: Connection) -> str | None:
    """The cause of the reading that waits, which then waits no longer.

    None if none does, while another asks, and in a pause.
    """
    cause: str | None = connection.execute(_NEXT_WAITING).scalar_one_or_none()
    return cause


def trouble(connection: Connection) -> Trouble | None:
    """How Stripe fails to answer; None while it answers."""
    row = connection.execute(_TROUBLE).one_or_none()
    return Trouble(row.failures, row.since_seconds) if row else None


_TAKE = text(
    """
    INSERT INTO stripe_turn AS turn (holder, held_until)
    VALUES (:holder, now() + :lease * interval '1 second')
    ON CONFLICT (only_row) DO UPDATE
    SET holder = EXCLUDED.holder, held_until = EXCLUDED.held_until
    WHERE turn.holder IS NULL OR turn.holder = EXCLUDED.holder OR turn.held_until <= now()
    RETURNING failures, coalesce(pause_until > now(), false) AS is_paused
    """
)
_GIVE_BACK = text("UPDATE stripe_turn SET holder = NULL, held_until = NULL WHERE holder = :holder")
_FAILED = text(
    """
    UPDATE stripe_turn
    SET failures = failures + 1, failing_since = coalesce(failing_since, now()),
        pause_until = now() + :pause * interval '1 second'
    """
)
_SUCCEEDED = text(
    "UPDATE stripe_turn SET failures = 0, failing_since = NULL, pause_until = NULL"
    " WHERE failures > 0"
)
_WAIT = text(
    """
    INSERT INTO stripe_turn AS turn (waiting) VALUES (:cause)
    ON CONFLICT (only_row) DO UPDATE SET waiting = EXCLUDED.waiting
    WHERE coalesce(array_position(CAST(:causes AS text[]), turn.waiting), 0)
          < array_position(CAST(:causes AS text[]), EXCLUDED.waiting)
    """
)
_NEXT_WAITING = text(
    """
    UPDATE stripe_turn AS turn SET waiting = NULL
    FROM (SELECT waiting FROM stripe_turn FOR UPDATE) AS before
    WHERE turn.waiting IS NOT NULL
      AND (turn.holder IS NULL OR turn.held_until <= now())
      AND (turn.pause_until IS NULL OR turn.pause_until <= now())
    RETURNING before.waiting
    """
)
_TROUBLE = text(
    "SELECT failures, CAST(extract(epoch FROM now() - failing_since) AS float8) AS since_seconds"
    " FROM stripe_turn WHERE failures > 0"
)
