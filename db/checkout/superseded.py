"""Open checkout sessions that nobody may pay any more, for what their user bought elsewhere.

Which ones these are follows from the tables, so a crash forgets none of them.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from db.checkout import eligibility, trials
from domain.checkout.order import TRIAL_IN_PARAMS
from domain.payments.details import SESSION_RANK
from retry import Backoff

# Whoever looks after a session has it to themselves for so long, and looks again after that.
LOOK_EVERY_SECONDS = 4
# The pauses between two questions about the same session.
BACKOFF = Backoff(first_seconds=5.0, longest_seconds=300.0)


@dataclass(frozen=True, slots=True)
class Payable:
    """An open session that another purchase of its user may rule out.

    `tries` is how often Stripe was asked to expire it.
    """

    purchase_id: str
    session_id: str
    user_id: str
    plan_id: int
    is_full: bool
    has_trial: bool
    tries: int


def taken(connection: Connection, limit: int) -> list[Payable]:
    """Up to `limit` open sessions of full plans or with a trial whose users bought something else.

    Nobody else is given them for `LOOK_EVERY_SECONDS`. Those whose end the events have told are
    noted as ended first.
    """
    connection.execute(_NOTE_ENDED, SESSION_RANK)
    wanted = {"every": LOOK_EVERY_SECONDS, "limit": limit, "trial": TRIAL_IN_PARAMS}
    return [Payable(**row) for row in connection.execute(_TAKEN, wanted).mappings()]


def is_superseded(connection: Connection, payable: Payable, *, one_trial: bool) -> bool:
    """Whether it would be a second plan, or a second trial: of any plan, or of the same one."""
    if payable.is_full and eligibility.has_full_plan(connection, payable.user_id):
        return True
    tried = None if one_trial else payable.plan_id
    return payable.has_trial and trials.had(connection, payable.user_id, tried)


def count_try(connection: Connection, payable: Payable) -> None:
    """Note before Stripe is asked that it is, so that who fails pauses for longer each time."""
    pause = BACKOFF.pause_seconds(payable.tries + 1)
    connection.execute(_COUNT_TRY, {"id": payable.purchase_id, "pause": pause})


_NOTE_ENDED = text(
    """
    UPDATE purchases
    SET state = CASE ended.rank WHEN :complete THEN 'complete' ELSE 'expired' END
    FROM (
        SELECT purchases.id, CAST(payments.facts #>> '{session,rank}' AS integer) AS rank
        FROM purchases JOIN payments ON payments.id = purchases.session_id
        WHERE purchases.state = 'open' AND purchases.session_id IS NOT NULL
          AND CAST(payments.facts #>> '{session,rank}' AS integer) > :open
        FOR UPDATE OF purchases SKIP LOCKED
    ) AS ended
    WHERE purchases.id = ended.id
    """
)
# What can no longer be paid is none of its business; Stripe's clock decides about that, not ours.
_TAKEN = text(
    """
    WITH due AS (
        SELECT purchases.id, plans.type = 'full' AS is_full
        FROM purchases
        JOIN plans ON plans.id = purchases.plan_id AND plans.version = purchases.plan_version
        WHERE purchases.state = 'open' AND purchases.session_id IS NOT NULL
          AND (purchases.expires_at > now() - interval '1 hour' OR purchases.expires_at IS NULL)
          AND (purchases.expire_after <= now() OR purchases.expire_after IS NULL)
          AND (plans.type = 'full' OR purchases.params #> :trial IS NOT NULL)
          AND (EXISTS (SELECT 1 FROM subscriptions
                       WHERE subscriptions.user_id = purchases.user_id)
               OR EXISTS (SELECT 1 FROM customers
                          JOIN subscriptions ON subscriptions.customer_id = customers.id
                          WHERE customers.user_id = purchases.user_id)
               OR EXISTS (SELECT 1 FROM buyers
                          JOIN subscriptions ON subscriptions.customer_id = buyers.customer_id
                          WHERE buyers.user_id = purchases.user_id)
               OR EXISTS (SELECT 1 FROM purchases AS other
                          WHERE other.user_id = purchases.user_id AND other.state = 'complete'))
        ORDER BY purchases.expire_after NULLS FIRST
        LIMIT :limit
        FOR UPDATE OF purchases SKIP LOCKED
    )
    UPDATE purchases
    SET expire_after = now() + make_interval(secs => :every)
    FROM due
    WHERE purchases.id = due.id
    RETURNING purchases.id AS purchase_id, session_id, user_id, plan_id, due.is_full,
              params #> :trial IS NOT NULL AS has_trial, expire_tries AS tries
    """
)
_COUNT_TRY = text(
    """
    UPDATE purchases
    SET expire_tries = expire_tries + 1, expire_after = now() + make_interval(secs => :pause)
    WHERE id = :id
    """
)
