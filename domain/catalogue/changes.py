"""A catalogue beside a file that was read: what must be written, with each difference in words."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from domain.catalogue.plans import Catalogue, CatalogueChange, Plan, TokenlessChange

# What is compared as it is, in the order in which it is told.
_FIELDS = (
    "type",
    "name",
    "description",
    "tokens",
    "interval",
    "interval_count",
    "trial_days",
    "trial_tokens",
    "active",
)
_OFF_SALE = "off sale"
_TAKEN_OUT = f"{_OFF_SALE}: no longer in the file"


def changes_between(catalogue: Catalogue, wanted: Iterable[Plan]) -> list[CatalogueChange]:
    """What must be written so that the catalogue says what the file says.

    A plan that the file no longer has becomes inactive, a currency that it no longer has goes off
    sale: what was sold keeps its worth.
    """
    plans = list(wanted)
    changes = [change for plan in plans if (change := _change(catalogue, plan))]
    kept = {plan.id for plan in plans}
    for plan in catalogue.plans:
        if plan.id not in kept and plan == catalogue.current(plan.id) and plan.active:
            changes.append(CatalogueChange(plan, replace(plan, active=False), (_TAKEN_OUT,)))
    return changes


def tokenless_between(catalogue: Catalogue, wanted: Collection[str]) -> TokenlessChange:
    """Which prices without tokens must be written and taken out, so that these are left."""
    added = frozenset(wanted) - catalogue.prices_without_tokens
    removed = catalogue.prices_without_tokens - frozenset(wanted)
    changes = [f"{price_id}: {_told(catalogue.by_price(price_id))}" for price_id in added]
    changes += [f"{price_id}: no longer among the prices without tokens" for price_id in removed]
    return TokenlessChange(added, removed, tuple(sorted(changes)))


def _told(holder: Plan | None) -> str:
    if holder is None:
        return "sells no tokens"
    return (
        f"written down, but it stays with plan {holder.id} version {holder.version}, whose terms"
        " it was sold at"
    )


def _change(catalogue: Catalogue, wanted: Plan) -> CatalogueChange | None:
    before = catalogue.current(wanted.id)
    version = 1
    is_new_version = before is None
    if before is not None:
        is_new_version = _changes_terms(before, wanted)
        version = before.version + is_new_version
    after = replace(wanted, version=version)
    if before is not None and not is_new_version:
        after = replace(
            after,
            prices={**before.prices, **wanted.prices},
            off_sale_currencies=frozenset(before.prices.keys() - wanted.prices.keys()),
        )
    bound, notes = _bindings(catalogue, after)
    differences = _differences(before, after, bound)
    if not differences:
        return None
    return CatalogueChange(before, after, (*differences, *notes), bound, is_new_version)


def _changes_terms(before: Plan, wanted: Plan) -> bool:
    shared = before.prices.keys() & wanted.prices.keys()
    return before.terms != wanted.terms or any(
        before.prices[currency] != wanted.prices[currency] for currency in shared
    )


def _bindings(catalogue: Catalogue, after: Plan) -> tuple[dict[str, str], tuple[str, ...]]:
    """Price ids that are new to us; those bound to older terms stay where they are."""
    bound: dict[str, str] = {}
    notes = []
    for price_id, currency in after.stripe_price_ids.items():
        holder = catalogue.by_price(price_id)
        if holder is None:
            bound[price_id] = currency
        elif (holder.id, holder.version) != (after.id, after.version):
            notes.append(
                f"{price_id} stays with plan {holder.id} version {holder.version}, whose terms"
                " it was sold at; give the new terms a new price"
            )
    return bound, tuple(notes)


def _differences(before: Plan | None, after: Plan, bound: Mapping[str, str]) -> tuple[str, ...]:
    if before is None:
        return ("new plan",)
    differences = []
    for name in _FIELDS:
        differences.append((name, getattr(before, name), getattr(after, name)))
    for currency in sorted(before.sale_prices.keys() | after.sale_prices.keys()):
        was = _OFF_SALE if currency in before.prices else None
        old = before.sale_prices.get(currency, was)
        differences.append((f"price {currency}", old, after.sale_prices.get(currency, _OFF_SALE)))
    for price_id, currency in sorted(bound.items()):
        differences.append((f"stripe price {currency}", None, price_id))
    for name in sorted(before.features.keys() | after.features.keys()):
        unlocked = (before.features.get(name), after.features.get(name))
        differences.append((f"feature {name}", *unlocked))
    return tuple(
        f"{name}: {_shown(old)} -> {_shown(new)}"
        for name, old, new in differences
        if _shown(old) != _shown(new)
    )


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
