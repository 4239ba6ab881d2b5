"""The plans on sale, as everyone may see them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, text


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it is sold now; `amount` is its price in `currency`, None when it has none.

    A first purchase is free for `trial_days`, and brings `trial_tokens` meanwhile.

    A period is `interval_count` intervals long; both are None where it is bought once.
    """

    id: int
    plan_type: str
    name: str
    description: str
    tokens: int
    interval: str | None
    interval_count: int | None
    currency: str | None
    amount: int | None
    prices: Mapping[str, int]
    trial_days: int = 0
    trial_tokens: int = 0


def plans(
    connection: Connection,
    plan_type: str,
    currencies: tuple[str, ...],
    *,
    limit: int,
    after: int | None = None,
) -> list[Plan]:
    """The plans on sale of one type, by id; priced in the first of `currencies` they have.

    A plan that has none of them is priced in its own first currency by name.
    """
    rows = connection.execute(
        _PLANS, {"plan_type": plan_type, "after": after or 0, "limit": limit}
    ).mappings()
    return [_plan(row, currencies) for row in rows]


def _plan(row: RowMapping, currencies: tuple[str, ...]) -> Plan:
    prices = dict(sorted(row["prices"].items()))
    currency = next((name for name in (*currencies, *prices) if name in prices), None)
    return Plan(
        id=row["id"],
        plan_type=row["type"],
        name=row["name"],
        description=row["description"],
        tokens=row["tokens"],
        interval=row["interval"],
        interval_count=row["interval_count"],
        currency=currency,
        amount=prices[currency] if currency else None,
        prices=prices,
        trial_days=row["trial_days"],
        trial_tokens=row["trial_tokens"],
    )


_PLANS = text(
    """
    SELECT plans.id, plans.type, plans.name, plans.description, plans.tokens, plans.interval,
           plans.trial_days, plans.trial_tokens,
           CASE WHEN plans.interval IS NOT NULL THEN plans.interval_count END AS interval_count,
           (SELECT coalesce(jsonb_object_agg(prices.currency, prices.amount_minor), '{}')
            FROM plan_prices AS prices
            WHERE prices.plan_id = plans.id AND prices.version = plans.version
              AND prices.on_sale) AS prices
    FROM plans
    WHERE plans.is_current AND plans.active AND plans.type = :plan_type AND plans.id > :after
    ORDER BY plans.id
    LIMIT :limit
    """
)
