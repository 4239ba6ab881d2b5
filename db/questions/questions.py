"""What is to be asked of Stripe, and what came of asking so far.

What is wanted is derived state, and stands with what it is of: `payments.question` and
`subscriptions.undecided`. The table `questions` only remembers the asking, so that an answer which
decides nothing is asked again less and less often. What is no longer wanted is dropped.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, text


class Kind(StrEnum):
    """What is asked: an id of Stripe's alone does not tell."""

    LINE_ITEMS = "line_items"
    INVOICE_LINES = "invoice_lines"
    PAYMENT_OF = "payment_of"
    SUBSCRIPTION = "subscription"


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `asks` counts answers that decided nothing, `silences` tries without answer."""

    kind: Kind
    subject_id: str
    asks: int = 0
    silences: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many questions wait for an answer that decides them.

    `oldest_seconds` is how long the oldest has waited of those that Stripe has not answered at all
    (None: it has answered each); `given_up` wait for a person, `example` is one of these, with what
    came of it.
    """

    waiting: int
    oldest_seconds: float | None
    given_up: int
    example: str | None


def due(connection: Connection, limit: int, grace_seconds: Mapping[Kind, float]) -> list[Question]:
    """What should be asked now, up to `limit`, longest first.

    A question that was never asked waits for its kind's grace, in case the answer is on its way
    anyway. Kinds take turns, and so do new questions and those that were asked before: no number
    of bad ones keeps another waiting.
    """
    graces = {kind.value: grace_seconds.get(kind, 0.0) for kind in Kind}
    wanted = {"kinds": list(graces), "graces": list(graces.values()), "limit": limit}
    return [
        Question(Kind(row.kind), row.subject_id, row.asks, row.silences)
        for row in connection.execute(_DUE, wanted)
    ]


def begin(connection: Connection, question: Question, *, lease_seconds: float) -> bool:
    """Take a question in hand, which is then not due for the lease; False if it is not due now.

    Commit before asking.
    """
    if not is_wanted(connection, question):
        return False
    named = {"kind": question.kind.value, "subject": question.subject_id}
    return connection.execute(_BEGIN, {**named, "lease": lease_seconds}).rowcount == 1


def is_wanted(connection: Connection, question: Question) -> bool:
    """Whether the tables still call for an answer."""
    named = {"kind": question.kind.value, "subject": question.subject_id}
    return connection.execute(_IS_WANTED, named).first() is not None


def answered(connection: Connection, question: Question) -> None:
    """It is decided: forget that it was asked."""
    named = {"kind": question.kind.value, "subject": question.subject_id}
    connection.execute(_ANSWERED, named)


def postponed(
    connection: Connection, question: Question, says: str, *, pause_seconds: float, silent: bool
) -> None:
    """Nothing was decided (or, `silent`, nothing answered): ask again after the pause."""
    _note(connection, question, says, silent=silent, pause_seconds=pause_seconds, ends=False)


def gave_up(connection: Connection, question: Question, says: str) -> None:
    """Asking again would not help: leave it to a person, with the reason."""
    _note(connection, question, says, silent=False, pause_seconds=0.0, ends=True)


def _note(
    connection: Connection,
    question: Question,
    says: str,
    *,
    silent: bool,
    pause_seconds: float,
    ends: bool,
) -> None:
    connection.execute(
        _NOTE,
        {
            "kind": question.kind.value,
            "subject": question.subject_id,
            "says": says[:_SAYS_LENGTH_MAX],
            "asks": question.asks + (not silent),
            "silences": question.silences + 1 if silent else 0,
            "pause": pause_seconds,
            "ends": ends,
        },
    )


def drop_unwanted(connection: Connection) -> int:
    """Forget the asking about whatever the tables no longer call for; returns how many."""
    return connection.execute(_DROP_UNWANTED).rowcount


def hasten(connection: Connection) -> int:
    """Stripe answers again: what was postponed because it did not is due now."""
    return connection.execute(_HASTEN).rowcount


def reconsider(connection: Connection, subject_ids: Collection[str]) -> int:
    """A person runs something again: ask anew about these, also where it was given up."""
    if not subject_ids:
        return 0
    return connection.execute(_RECONSIDER, {"subjects": list(subject_ids)}).rowcount


def waiting(connection: Connection) -> Waiting:
    """How much waits."""
    row = connection.execute(_WAITING).one()
    return Waiting(row.waiting, row.oldest_seconds, row.given_up, row.example)


def of_subject(connection: Connection, subject_id: str) -> list[str]:
    """What is asked of Stripe about an object, in words; empty where nothing is."""
    return list(connection.execute(_OF_SUBJECT, {"subject": subject_id}).scalars())


_SAYS_LENGTH_MAX = 1_000

_WANTED = """
    SELECT kind, subject_id, min(since) AS since FROM (
        SELECT question AS kind, question_subject AS subject_id, updated_at AS since
        FROM payments WHERE question IS NOT NULL
        UNION ALL
        SELECT 'subscription', id, updated_at FROM subscriptions WHERE undecided
    ) AS open GROUP BY kind, subject_id
"""
# New ones are few, and so are those that are due again: neither looks at all that ever waited.
_DUE = text(
    """
    WITH new AS (
        SELECT question AS kind, question_subject AS subject_id, updated_at AS since
        FROM payments WHERE question IS NOT NULL
        UNION ALL
        SELECT 'subscription', id, updated_at FROM subscriptions WHERE undecided
    ),
    ripe AS (
        SELECT kind, subject_id, 0 AS asks, 0 AS silences, false AS is_again, since AS at
        FROM new
        WHERE since <= now() - interval '1 second'
              * (CAST(:graces AS float8[]))[array_position(CAST(:kinds AS text[]), kind)]
          AND NOT EXISTS (SELECT FROM questions AS asked
                          WHERE asked.kind = new.kind AND asked.subject_id = new.subject_id)
        UNION ALL
        SELECT kind, subject_id, asks, silences, true, next_ask_at
        FROM questions AS asked
        WHERE given_up_at IS NULL AND next_ask_at <= now()
          AND (EXISTS (SELECT FROM payments WHERE question = asked.kind
                       AND question_subject = asked.subject_id)
               OR EXISTS (SELECT FROM subscriptions WHERE undecided
                          AND asked.kind = 'subscription' AND id = asked.subject_id))
    )
    SELECT kind, subject_id, asks, silences,
           row_number() OVER (PARTITION BY kind, is_again ORDER BY at, subject_id) AS turn
    FROM ripe ORDER BY turn, is_again, kind LIMIT :limit
    """
)
_IS_WANTED = text(
    """
    SELECT 1 FROM payments
    WHERE question = :kind AND question_subject = :subject AND :kind <> 'subscription'
    UNION ALL
    SELECT 1 FROM subscriptions WHERE undecided AND id = :subject AND :kind = 'subscription'
    LIMIT 1
    """
)
_BEGIN = text(
    """
    INSERT INTO questions AS asked (kind, subject_id, last_asked_at, next_ask_at)
    VALUES (:kind, :subject, now(), now() + :lease * interval '1 second')
    ON CONFLICT (kind, subject_id) DO UPDATE
    SET last_asked_at = EXCLUDED.last_asked_at, next_ask_at = EXCLUDED.next_ask_at
    WHERE asked.next_ask_at <= now() AND asked.given_up_at IS NULL
    """
)
_ANSWERED = text("DELETE FROM questions WHERE kind = :kind AND subject_id = :subject")
_NOTE = text(
    """
    UPDATE questions
    SET asks = :asks, silences = :silences, last_answer = :says,
        next_ask_at = now() + :pause * interval '1 second',
        given_up_at = CASE WHEN :ends THEN now() END
    WHERE kind = :kind AND subject_id = :subject
    """
)
_DROP_UNWANTED = text(
    """
    DELETE FROM questions AS asked
    WHERE NOT EXISTS (SELECT FROM payments
                      WHERE question = asked.kind AND question_subject = asked.subject_id)
      AND NOT EXISTS (SELECT FROM subscriptions
                      WHERE undecided AND asked.kind = 'subscription' AND id = asked.subject_id)
    """
)
_HASTEN = text(
    "UPDATE questions SET next_ask_at = now()"
    " WHERE silences > 0 AND next_ask_at > now() AND given_up_at IS NULL"
)
_RECONSIDER = text("DELETE FROM questions WHERE subject_id = ANY(CAST(:subjects AS text[]))")
_WAITING = text(
    f"""
    WITH wanted AS ({_WANTED}),
    state AS (SELECT * FROM wanted LEFT JOIN questions USING (kind, subject_id))
    SELECT count(*) FILTER (WHERE given_up_at IS NULL) AS waiting,
           CAST(extract(epoch FROM now() - min(since) FILTER (
               WHERE given_up_at IS NULL AND coalesce(asks, 0) = 0)) AS float8) AS oldest_seconds,
           count(given_up_at) AS given_up,
           (SELECT subject_id || ': ' || last_answer FROM state
            WHERE given_up_at IS NOT NULL ORDER BY given_up_at, subject_id LIMIT 1) AS example
    FROM state
    """  # noqa: S608 - it is the constant above.
)
_OF_SUBJECT = text(
    f"""
    SELECT CASE
        WHEN given_up_at IS NOT NULL THEN kind || ': given up, ' || last_answer
        WHEN last_answer IS NOT NULL THEN kind || ': asked again at '
             || to_char(next_ask_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC; '
             || last_answer
        ELSE kind || ': to be asked of Stripe' END
    FROM ({_WANTED}) AS wanted LEFT JOIN questions USING (kind, subject_id)
    WHERE subject_id = :subject ORDER BY kind
    """  # noqa: S608 - it is the constant above.
)
