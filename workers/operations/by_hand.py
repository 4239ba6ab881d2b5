"""Takes a person's word: stores it as an event of ours and applies it as the pipeline does."""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine

from db.ledger import by_hand as tables
from db.ledger.catalogue import CatalogueCache
from db.queue.attempts import Request
from db.queue.deliveries import as_delivery
from domain.errors import BillingError
from domain.synthetic_events import by_hand
from workers.pipeline.apply import Applied, apply, prepare

Json = Mapping[str, Any]


class BelowZeroError(BillingError):
    """An adjustment would leave a debt that nobody allowed; nothing was changed."""


def new_number() -> str:
    """A number for an event of ours; the later one is the greater one."""
    return f"{time.time_ns() // 1_000_000:013d}_{secrets.token_hex(6)}"


def adjust(
    engine: Engine, user_id: str, amount: int, request: Request, number: str, *, allow_debt: bool
) -> Applied:
    """Correct a user's balance by `amount`; a `number` that was used before changes nothing.

    Raises `BelowZeroError` where the balance would fall below zero and that is not allowed.
    """
    event = by_hand.adjusted(
        number,
        int(time.time()),
        user_id=user_id,
        amount=amount,
        by=request.by,
        reason=request.reason or "",
    )

    def check(connection: Connection, applied: Applied) -> None:
        # The account is ours until the commit, so nobody spends in between.
        after = tables.balance(connection, user_id)
        if applied.derived.postings and amount < 0 and after < 0 and not allow_debt:
            raise BelowZeroError(
                f"The balance of {user_id} is {after - amount:,}: {amount:+,} would leave a debt"
                f" of {-after:,}. Nothing was changed; --allow-debt allows it."
            )

    return _take(engine, event, check)


def assign(
    engine: Engine,
    payment_id: str,
    request: Request,
    number: str,
    *,
    user_id: str | None = None,
    plan_id: int | None = None,
) -> Applied:
    """Give a payment its user or its plan, whatever else claims it."""
    event = by_hand.assigned(
        number,
        int(time.time()),
        payment_id=payment_id,
        user_id=user_id,
        plan_id=plan_id,
        by=request.by,
        reason=request.reason,
    )
    return _take(engine, event, None)


def _take(
    engine: Engine, event: Json, check: Callable[[Connection, Applied], None] | None
) -> Applied:
    work = prepare(as_delivery(event), source=by_hand.SOURCE)
    if work.outcome.error is not None:
        raise BillingError(work.outcome.error)
    return apply(engine, [work], CatalogueCache(), check=check)
