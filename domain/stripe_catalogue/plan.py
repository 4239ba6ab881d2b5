"""What must be done in Stripe so that an account sells what the catalogue says.

Plans only; nothing here asks Stripe or a store. A plan has one product, found by its metadata,
and one active price for each currency, which belongs to one version of the plan for ever: other
terms mean another price, and the old one is archived once the new one is there. Foreign objects
are used where the catalogue names them, and never changed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from domain.catalogue.plans import Catalogue
from domain.checkout.order import recurring
from domain.stripe_catalogue.actions import Action, Do, SyncPlan, changes, missing
from domain.stripe_catalogue.plan_in_stripe import PlanInStripe
from domain.stripe_catalogue.remote import PLAN_ID, PLAN_TYPE, TOKENS, Account, Price, Product

Kept = Mapping[str, Price | None]


def plan_sync(
    catalogue: Catalogue,
    current: Collection[str],
    account: Account,
    plan_type: str | None = None,
) -> SyncPlan:
    """What must be done so that the account sells the catalogue, or its plans of one type.

    `current` are the price ids at which our checkout sells now.
    """
    actions: list[Action] = []
    remarks: list[str] = []
    plan_ids = {plan.id for plan in catalogue.plans}
    for plan_id in sorted(plan_ids):
        plan = catalogue.current(plan_id)
        if plan is not None and plan_type in (None, plan.type):
            there = PlanInStripe(plan, catalogue, frozenset(current), account)
            actions.extend(_of_plan(there))
            remarks.extend(_remarks(there))
    remarks.extend(_orphans(account, plan_ids, plan_type))
    return SyncPlan(tuple(actions), tuple(remarks))


def _of_plan(there: PlanInStripe) -> Iterator[Action]:
    """What is made comes before what it replaces is archived."""
    if not there.plan.active:
        yield from _retired(there)
        return
    kept = {currency: there.price(currency) for currency in sorted(there.plan.sale_prices)}
    if there.product is not None:
        yield from _product_kept(there, there.product)
    elif None in kept.values():
        yield _product_made(there)
    for currency, price in kept.items():
        if price is None:
            yield _price_made(there, currency)
        else:
            yield from _price_kept(there, price, currency)
    yield from _replaced(there, kept)


def _product_marks(there: PlanInStripe) -> dict[str, str]:
    plan = there.plan
    return {PLAN_ID: str(plan.id), PLAN_TYPE: plan.type, TOKENS: str(plan.tokens)}


def _product_made(there: PlanInStripe) -> Action:
    plan = there.plan
    params: dict[str, Any] = {"name": plan.name, "metadata": _product_marks(there)}
    if plan.description.strip():
        params["description"] = plan.description
    # A product that lost its marks by hand still carries our prices; asked for with its own key,
    # Stripe would give that one again.
    stood_on = {price.product_id for price in there.own_prices}
    price_ids = tuple(sorted(there.bound_price_ids | stood_on))
    return Action(Do.CREATE_PRODUCT, plan, ("no product yet",), params=params, known=price_ids)


def _product_kept(there: PlanInStripe, product: Product) -> Iterator[Action]:
    params, why = changes(
        ("name", product.name, there.plan.name),
        ("description", product.description, there.plan.description),
        ("active", product.active, True),
    )
    if marks := missing(_product_marks(there), product.metadata):
        params["metadata"] = marks
        why.extend(f"{key}: {product.metadata.get(key)} -> {marks[key]}" for key in marks)
    if params:
        yield Action(Do.UPDATE_PRODUCT, there.plan, tuple(why), product.id, params=params)


def _price_made(there: PlanInStripe, currency: str) -> Action:
    plan = there.plan
    params: dict[str, Any] = {
        "currency": currency,
        "unit_amount": plan.prices[currency],
        "metadata": there.price_marks,
    }
    if there.product is not None:
        params["product"] = there.product.id
    if plan.interval:
        params["recurring"] = recurring(plan.interval, plan.interval_count)
    key = _lookup_key(there, currency)
    if there.foreign_holder(key) is None:
        params |= {"lookup_key": key, "transfer_lookup_key": True}
    price_ids = tuple(
        sorted(key for key, sold_in in plan.stripe_price_ids.items() if sold_in == currency)
    )
    why = (there.why_new(currency),)
    return Action(Do.CREATE_PRICE, plan, why, currency=currency, params=params, known=price_ids)


def _price_kept(there: PlanInStripe, price: Price, currency: str) -> Iterator[Action]:
    plan = there.plan
    params, why = _price_changes(there, price, currency) if there.is_own(price) else ({}, [])
    if params:
        yield Action(Do.UPDATE_PRICE, plan, tuple(why), price.id, currency, params)
    if not there.is_sold(price):
        reason = f"version {plan.version} is sold at it from now on"
        yield Action(Do.LINK, plan, (reason,), price.id, currency)


def _price_changes(
    there: PlanInStripe, price: Price, currency: str
) -> tuple[dict[str, Any], list[str]]:
    params, why = changes(("active", price.active, True))
    key = _lookup_key(there, currency)
    if price.lookup_key != key and there.foreign_holder(key) is None:
        params |= {"lookup_key": key, "transfer_lookup_key": True}
        why.append(f"lookup key: {price.lookup_key or 'none'} -> {key}")
    if marks := missing(there.price_marks, price.metadata):
        params["metadata"] = marks
        why.extend(f"{key}: {price.metadata.get(key)} -> {marks[key]}" for key in marks)
    return params, why


def _lookup_key(there: PlanInStripe, currency: str) -> str:
    """The key by which others find the price at which a plan is sold now."""
    return f"plan_{there.plan.id}_{currency}"


def _replaced(there: PlanInStripe, kept: Kept) -> Iterator[Action]:
    """Archive what nobody needs; Stripe wants a product to have another default price before."""
    stays = {price.id for price in kept.values() if price}
    for price in there.own_prices:
        if not price.active or price.id in stays:
            continue
        product = there.account.products.get(price.product_id)
        if product is not None and product.default_price_id == price.id:
            following = (
                _following_currency(product, kept, price) if product == there.product else None
            )
            if following is None:
                continue
            yield _new_default(there, product, following, kept[following])
        yield _archived(there, price, _why_archived(kept, price))


def _why_archived(kept: Kept, price: Price) -> str:
    if price.currency in kept:
        return "another price has taken its place"
    return f"the plan is not sold in {price.currency}"


def _following_currency(product: Product, kept: Kept, price: Price) -> str | None:
    """The currency whose price follows a default price; it must be of the same product."""
    on_it = [
        currency
        for currency, price in kept.items()
        if price is None or price.product_id == product.id
    ]
    return price.currency if price.currency in on_it else next(iter(on_it), None)


def _new_default(
    there: PlanInStripe, product: Product, currency: str, price: Price | None
) -> Action:
    params = {"default_price": price.id} if price else {}
    why = (f"its default price {product.default_price_id} is replaced",)
    return Action(Do.SET_DEFAULT_PRICE, there.plan, why, product.id, currency, params)


def _archived(there: PlanInStripe, price: Price, why: str) -> Action:
    off = {"active": False}
    return Action(Do.ARCHIVE_PRICE, there.plan, (why,), price.id, price.currency, off)


def _retired(there: PlanInStripe) -> Iterator[Action]:
    """A plan that is not sold; Stripe does not archive the default price of a product."""
    defaults = {product.default_price_id for product in there.account.products.values()}
    for price in there.own_prices:
        if price.active and price.id not in defaults:
            yield _archived(there, price, "the plan is not sold")
    for product in there.products:
        if product.active:
            why, off = ("the plan is not sold",), {"active": False}
            yield Action(Do.UPDATE_PRODUCT, there.plan, why, product.id, params=off)


def _remarks(there: PlanInStripe) -> Iterator[str]:
    plan = there.plan
    yield from _foreign_left_overs(there)
    if not plan.active:
        return
    for other in there.products[1:]:
        if other.active:
            yield (
                f"{other.id} ({other.name}) says it is plan {plan.id}, as {there.products[0].id}"
                " does, which is the one that is used: left as it is"
            )
    for currency in sorted(plan.sale_prices):
        key = _lookup_key(there, currency)
        if holder := there.foreign_holder(key):
            yield f"{holder.id} is not ours and has the lookup key {key}: left as it is"
    for price in there.foreign_prices():
        if price.id not in there.bound_price_ids:
            yield f"{price.id} of {price.product_id} is not ours and not needed: left as it is"


def _foreign_left_overs(there: PlanInStripe) -> Iterator[str]:
    """Active prices of what is off sale that are not ours to archive."""
    plan = there.plan
    for price_id, currency in sorted(plan.stripe_price_ids.items()):
        price = there.account.prices.get(price_id)
        if price is None or not price.active or there.is_own(price):
            continue
        if not plan.active or currency in plan.off_sale_currencies:
            where = f" in {currency}" if plan.active else ""
            yield (
                f"{price_id} is not ours and active, and plan {plan.id} is off sale{where}:"
                " archive it in the dashboard"
            )


def _orphans(account: Account, plan_ids: Collection[int], plan_type: str | None) -> Iterable[str]:
    for product in account.products.values():
        if product.plan_id is None or product.plan_id in plan_ids or not product.active:
            continue
        if plan_type in (None, product.metadata.get(PLAN_TYPE)):
            yield (
                f"{product.id} ({product.name}) says it is plan {product.plan_id}, which is not"
                " in this catalogue: left as it is"
            )
