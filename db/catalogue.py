"""The catalogue's tables: read whole, written by version."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from db import unit_of_work
from db.records import seconds
from domain.catalogue import Catalogue, CatalogueChange, Plan


def revision(connection: Connection) -> int:
    """A number that grows with every change of the catalogue."""
    return int(connection.execute(_REVISION).scalar_one())


def load(connection: Connection) -> Catalogue:
    """Every version of every plan."""
    prices: dict[tuple[int, int], dict[str, int]] = {}
    for row in connection.execute(_PRICES):
        prices.setdefault((row.plan_id, row.version), {})[row.currency] = row.amount_minor
    price_ids: dict[tuple[int, int], dict[str, str]] = {}
    for row in connection.execute(_PRICE_IDS):
        price_ids.setdefault((row.plan_id, row.version), {})[row.id] = row.currency
    return Catalogue.of(
        Plan(
            id=row.id,
            version=row.version,
            type=row.type,
            name=row.name,
            description=row.description,
            tokens=row.tokens,
            interval=row.interval,
            interval_count=row.interval_count,
            trial_days=row.trial_days,
            trial_tokens=row.trial_tokens,
            active=row.active,
            prices=prices.get((row.id, row.version), {}),
            stripe_price_ids=price_ids.get((row.id, row.version), {}),
            effective_from=seconds(row.effective_from) or 0,
        )
        for row in connection.execute(_PLANS)
    )


def current_price_ids(connection: Connection) -> set[str]:
    """The price ids at which checkout sells, of every version: one for each of its currencies."""
    return {row.id for row in connection.execute(_PRICE_IDS) if row.is_current}


def hold(connection: Connection) -> None:
    """Keep every batch from running until this transaction ends, so none works with old terms."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:key)"), {"key": unit_of_work.CATALOGUE_LOCK}
    )


def save(connection: Connection, changes: Sequence[CatalogueChange]) -> None:
    """Write changed plans; call `hold` before reading what they were computed from.

    A price id that is bound to the version already becomes its current one again.
    """
    for change in changes:
        plan = change.after
        if change.is_new_version:
            connection.execute(_RETIRE, {"id": plan.id})
        connection.execute(_SAVE_PLAN, _plan_columns(plan))
        for currency, amount in plan.prices.items():
            connection.execute(
                _SAVE_PRICE,
                {
                    "plan_id": plan.id,
                    "version": plan.version,
                    "currency": currency,
                    "amount": amount,
                },
            )
        for price_id, currency in change.bound_price_ids.items():
            bound = {"plan_id": plan.id, "version": plan.version, "currency": currency}
            connection.execute(_UNBIND, bound)
            connection.execute(_BIND, bound | {"id": price_id})
    if changes:
        connection.execute(text("UPDATE catalogue_revision SET revision = revision + 1"))


def _plan_columns(plan: Plan) -> dict[str, object]:
    return {
        "id": plan.id,
        "version": plan.version,
        "type": plan.type,
        "name": plan.name,
        "description": plan.description,
        "tokens": plan.tokens,
        "interval": plan.interval,
        "interval_count": plan.interval_count,
        "trial_days": plan.trial_days,
        "trial_tokens": plan.trial_tokens,
        "active": plan.active,
    }


_REVISION = text("SELECT revision FROM catalogue_revision")
_PLANS = text("SELECT * FROM plans ORDER BY id, version")
_PRICES = text("SELECT * FROM plan_prices")
_PRICE_IDS = text("SELECT * FROM stripe_prices")
_RETIRE = text("UPDATE plans SET is_current = false WHERE id = :id")
_SAVE_PLAN = text(
    """
    INSERT INTO plans (id, version, type, name, description, tokens, interval,
                       interval_count, trial_days, trial_tokens, active)
    VALUES (:id, :version, :type, :name, :description, :tokens, :interval,
            :interval_count, :trial_days, :trial_tokens, :active)
    ON CONFLICT (id, version) DO UPDATE
    SET name = EXCLUDED.name, description = EXCLUDED.description,
        trial_days = EXCLUDED.trial_days, active = EXCLUDED.active
    """
)
_SAVE_PRICE = text(
    "INSERT INTO plan_prices (plan_id, version, currency, amount_minor)"
    " VALUES (:plan_id, :version, :currency, :amount)"
    " ON CONFLICT (plan_id, version, currency) DO NOTHING"
)
_UNBIND = text(
    "UPDATE stripe_prices SET is_current = false"
    " WHERE plan_id = :plan_id AND version = :version AND currency = :currency"
)
_BIND = text(
    "INSERT INTO stripe_prices (id, plan_id, version, currency)"
    " VALUES (:id, :plan_id, :version, :currency)"
    " ON CONFLICT (id) DO UPDATE SET is_current = true"
    " WHERE (stripe_prices.plan_id, stripe_prices.version, stripe_prices.currency)"
    " = (EXCLUDED.plan_id, EXCLUDED.version, EXCLUDED.currency)"
)
