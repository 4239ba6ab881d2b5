"""Derives payments anew because the catalogue has changed, some hundred a transaction."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Engine, text

from db.ledger import locks, unit_of_work
from db.ledger.catalogue import CatalogueCache
from domain.catalogue.plans import CatalogueChange
from domain.working_set import Derived


def derive_after(
    engine: Engine,
    changes: Sequence[CatalogueChange],
    cache: CatalogueCache,
    *,
    price_ids: Collection[str] = (),
    batch: int = 200,
) -> int:
    """Derive every payment that these changes of the catalogue may concern; returns how many.

    Those are payments that wait for a plan, that were bought by a price id which now has one, or
    that are younger than the new versions. `price_ids` are further ones whose worth has changed:
    they got into the prices without tokens, or out of them. Users of subscriptions that may now
    be shown with another plan are told.
    """
    bound = [price_id for change in changes for price_id in change.bound_price_ids]
    concerned = {
        "price_ids": [*bound, *price_ids],
        "plan_ids": [change.after.id for change in changes if change.is_new_version],
    }
    last, looked_at = "", 0
    while True:
        with engine.connect() as connection:
            rows = connection.execute(_CONCERNED, concerned | {"after": last, "limit": batch}).all()
        if not rows:
            _tell_subscriptions(engine, concerned, cache, batch)
            return looked_at
        _derive_again(engine, dict.fromkeys([row.id for row in rows]), cache)
        last, looked_at = rows[-1].id, looked_at + len(rows)


def _tell_subscriptions(
    engine: Engine, concerned: Mapping[str, object], cache: CatalogueCache, batch: int
) -> None:
    last = ""
    while True:
        with engine.begin() as connection:
            rows = connection.execute(
                _SUBSCRIPTIONS_CONCERNED, {**concerned, "after": last, "limit": batch}
            ).all()
            if not rows:
                return
            subjects = [row.customer_id or row.id for row in rows]
            unit_of_work.tell_subscriptions(connection, [row.id for row in rows], subjects, cache)
        last = rows[-1].id


def _derive_again(engine: Engine, ids: Mapping[str, str | None], cache: CatalogueCache) -> None:
    def run(subjects: Collection[str]) -> Derived:
        with engine.begin() as connection:
            return unit_of_work.apply(connection, (), cache, subjects, again=ids)

    locks.with_locks(run)


_CONCERNED = text(
    """
    SELECT id FROM payments WHERE id > :after AND (
        lacks_plan
        OR created_at >= (SELECT min(effective_from) FROM plans
                          WHERE is_current AND id = ANY(CAST(:plan_ids AS integer[])))
        OR (cardinality(CAST(:price_ids AS text[])) > 0 AND EXISTS (
                SELECT FROM jsonb_array_elements(facts #> '{invoice,lines}') AS line
                WHERE line ->> 2 = ANY(CAST(:price_ids AS text[]))
                UNION ALL
                SELECT FROM jsonb_array_elements(facts #> '{session,lines}') AS line
                WHERE line ->> 0 = ANY(CAST(:price_ids AS text[]))
                UNION ALL
                SELECT FROM subscriptions, jsonb_each(sold -> 'items') AS item,
                            jsonb_array_elements(item.value -> 0) AS price
                WHERE subscriptions.id = payments.subscription_id
                  AND price ->> 0 = ANY(CAST(:price_ids AS text[])))))
    ORDER BY id LIMIT :limit
    """
)
_SUBSCRIPTIONS_CONCERNED = text(
    """
    SELECT id, customer_id FROM subscriptions
    WHERE id > :after AND status IS NOT NULL
      AND (coalesce(named_plan_id, claimed_plan_id) = ANY(CAST(:plan_ids AS integer[]))
           OR EXISTS (SELECT FROM jsonb_array_elements(items) AS item
                      WHERE item ->> 'price_id' = ANY(CAST(:price_ids AS text[]))))
    ORDER BY id LIMIT :limit
    """
)
