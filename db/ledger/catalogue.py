"""The catalogue's tables: read whole, written by version."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from sqlalchemy import Connection, text

from db.access import states
from db.ledger.locks import CATALOGUE_LOCK
from db.ledger.rows import seconds
from domain.catalogue.features import STATES, Policies, Policy
from domain.catalogue.plans import Catalogue, CatalogueChange, Plan, TokenlessChange
from domain.payments.details import SESSION_RANK

# Also a part of a larger question (`db.ledger.loading`).
REVISION = "SELECT revision FROM catalogue_revision"


@dataclass(frozen=True, slots=True)
class StillPayable:
    """Checkout sessions of what is off sale, by plan and currency, that were opened before.

    The last of them ends at `until`; None where Stripe did not say when.
    """

    plan_id: int
    currency: str
    sessions: int
    until: datetime | None


@dataclass(slots=True)
class CatalogueCache:
    """The catalogue as last read by this process, read again when it has changed."""

    revision: int = -1
    catalogue: Catalogue = field(default_factory=Catalogue)

    def get(self, connection: Connection, known_revision: int | None = None) -> Catalogue:
        """The catalogue of now. Call under the subjects' locks, which keep it as it is.

        `known_revision` is what was read under them already.
        """
        current = revision(connection) if known_revision is None else known_revision
        if current != self.revision:
            self.catalogue = load(connection)
            self.revision = current
        return self.catalogue


def revision(connection: Connection) -> int:
    """A number that grows with every change of the catalogue."""
    return int(connection.execute(text(REVISION)).scalar_one())


def load(connection: Connection) -> Catalogue:
    """Every version of every plan, the prices that sell no tokens, and the policies."""
    prices: dict[tuple[int, int], dict[str, int]] = {}
    off_sale: dict[tuple[int, int], set[str]] = {}
    for row in connection.execute(_PRICES):
        prices.setdefault((row.plan_id, row.version), {})[row.currency] = row.amount_minor
        if not row.on_sale:
            off_sale.setdefault((row.plan_id, row.version), set()).add(row.currency)
    price_ids: dict[tuple[int, int], dict[str, str]] = {}
    for row in connection.execute(_PRICE_IDS):
        price_ids.setdefault((row.plan_id, row.version), {})[row.id] = row.currency
    plans = [
        Plan(
            id=row.id,
            version=row.version,
            type=row.type,
            name=row.name,
            description=row.description,
            tokens=row.tokens,
            interval=row.interval,
            interval_count=row.interval_count,
            off_sale_currencies=frozenset(off_sale.get((row.id, row.version), ())),
            trial_days=row.trial_days,
            trial_tokens=row.trial_tokens,
            active=row.active,
            features=row.features,
            prices=prices.get((row.id, row.version), {}),
            stripe_price_ids=price_ids.get((row.id, row.version), {}),
            effective_from=seconds(row.effective_from) or 0,
        )
        for row in connection.execute(_PLANS)
    ]
    without_tokens = connection.execute(_WITHOUT_TOKENS).scalars()
    return Catalogue.of(plans, without_tokens, _policies(connection))


def _policies(connection: Connection) -> Policies:
    rows = connection.execute(_POLICIES)
    return Policies(**{row.status: Policy(row.allows, row.grace_seconds) for row in rows})


def current_price_ids(connection: Connection) -> set[str]:
    """The price ids at which checkout sells, of every version: one for each of its currencies."""
    return set(connection.execute(_CURRENT_PRICE_IDS).scalars())


def still_payable(connection: Connection) -> list[StillPayable]:
    """Whatever can be bought yet although it is off sale, as far as events have told."""
    rows = connection.execute(_STILL_PAYABLE, SESSION_RANK)
    return [StillPayable(row.plan_id, row.currency, row.sessions, row.until) for row in rows]


def lock(connection: Connection) -> None:
    """Keep every batch from running until this transaction ends, so none works with old terms."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CATALOGUE_LOCK})


def save(connection: Connection, changes: Sequence[CatalogueChange]) -> None:
    """Write changed plans; call `lock` before reading what they were computed from.

    A price id that is bound to the version already becomes its current one again. Where plans
    unlock other features, or a price is known now, everybody's access is looked at again.
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
                    "on_sale": currency in plan.sale_prices,
                },
            )
        for price_id, currency in change.bound_price_ids.items():
            bound = {"plan_id": plan.id, "version": plan.version, "currency": currency}
            connection.execute(_UNBIND, bound)
            connection.execute(_BIND, bound | {"id": price_id})
    if changes:
        connection.execute(_REVISE)
    if any(change.unlocks_otherwise for change in changes):
        states.look_at_all(connection)


def save_tokenless(connection: Connection, change: TokenlessChange) -> None:
    """Write which prices sell no tokens; call `lock` before reading what it was computed from."""
    if added := [{"price_id": price_id} for price_id in change.added]:
        connection.execute(_ADD_WITHOUT_TOKENS, added)
    if removed := [{"price_id": price_id} for price_id in change.removed]:
        connection.execute(_REMOVE_WITHOUT_TOKENS, removed)
    if change.price_ids:
        connection.execute(_REVISE)
        states.look_at_all(connection)


def save_policies(connection: Connection, policies: Policies) -> None:
    """Write what holds while money is missing; call `lock` before reading what was there."""
    rows = [
        {"status": status, "allows": policy.allows, "grace_seconds": policy.grace_seconds}
        for status in STATES
        for policy in [getattr(policies, status)]
    ]
    connection.execute(_SAVE_POLICY, rows)
    connection.execute(_REVISE)
    states.look_at_all(connection)


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
        "features": orjson.dumps(dict(plan.features)).decode(),
    }


_REVISE = text("UPDATE catalogue_revision SET revision = revision + 1")
_WITHOUT_TOKENS = text("SELECT price_id FROM prices_without_tokens")
_ADD_WITHOUT_TOKENS = text(
    "INSERT INTO prices_without_tokens (price_id) VALUES (:price_id) ON CONFLICT DO NOTHING"
)
_REMOVE_WITHOUT_TOKENS = text("DELETE FROM prices_without_tokens WHERE price_id = :price_id")
_POLICIES = text("SELECT status, allows, grace_seconds FROM access_policies")
_SAVE_POLICY = text(
    "INSERT INTO access_policies (status, allows, grace_seconds)"
    " VALUES (:status, :allows, :grace_seconds)"
    " ON CONFLICT (status) DO UPDATE"
    " SET allows = EXCLUDED.allows, grace_seconds = EXCLUDED.grace_seconds"
)
_PLANS = text("SELECT * FROM plans ORDER BY id, version")
_PRICES = text("SELECT * FROM plan_prices")
_PRICE_IDS = text("SELECT * FROM stripe_prices")
_CURRENT_PRICE_IDS = text(
    "SELECT stripe_prices.id FROM stripe_prices JOIN plan_prices USING (plan_id, version, currency)"
    " WHERE is_current AND on_sale"
)
_RETIRE = text("UPDATE plans SET is_current = false WHERE id = :id")
_SAVE_PLAN = text(
    """
    INSERT INTO plans (id, version, type, name, description, tokens, interval,
                       interval_count, trial_days, trial_tokens, active, features)
    VALUES (:id, :version, :type, :name, :description, :tokens, :interval,
            :interval_count, :trial_days, :trial_tokens, :active, CAST(:features AS jsonb))
    ON CONFLICT (id, version) DO UPDATE
    SET name = EXCLUDED.name, description = EXCLUDED.description,
        trial_days = EXCLUDED.trial_days, active = EXCLUDED.active,
        features = EXCLUDED.features
    """
)
_SAVE_PRICE = text(
    "INSERT INTO plan_prices (plan_id, version, currency, amount_minor, on_sale)"
    " VALUES (:plan_id, :version, :currency, :amount, :on_sale)"
    " ON CONFLICT (plan_id, version, currency) DO UPDATE SET on_sale = EXCLUDED.on_sale"
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
_STILL_PAYABLE = text(
    """
    SELECT purchases.plan_id, purchases.currency, count(*) AS sessions,
           max(purchases.expires_at) AS until
    FROM purchases
    WHERE purchases.state = 'open' AND purchases.session_id IS NOT NULL
      AND coalesce(purchases.expires_at > now(), true)
      AND NOT EXISTS (
          SELECT FROM plans JOIN plan_prices AS prices
              ON prices.plan_id = plans.id AND prices.version = plans.version
          WHERE plans.id = purchases.plan_id AND plans.is_current AND plans.active
            AND prices.currency = purchases.currency AND prices.on_sale)
      AND NOT EXISTS (
          SELECT FROM payments
          WHERE payments.id = purchases.session_id
            AND CAST(payments.facts #>> '{session,rank}' AS integer) > :open)
    GROUP BY purchases.plan_id, purchases.currency
    ORDER BY purchases.plan_id, purchases.currency
    """
)
