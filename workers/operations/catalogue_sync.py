"""Reads what a Stripe account sells, and carries out what must change there and in our links.

A price is linked as soon as it exists, so what was done stands wherever a run ends, and the next
run goes on. Nothing is asked of Stripe inside a transaction.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Engine

import db.ledger.catalogue
from db.ledger.catalogue import CatalogueCache
from db.ledger.rederiving import derive_after
from domain.catalogue.plans import CatalogueChange, Plan
from domain.errors import CatalogueError
from domain.json_values import text_of
from domain.modes import require_mode
from domain.stripe_catalogue.actions import Action, Do, SyncPlan, idempotency_key, missing
from domain.stripe_catalogue.plan import plan_sync
from domain.stripe_catalogue.remote import Account, Price, Product, period_in, price_of, product_of
from stripe_gateway import StripeGateway, StripeUnavailable
from workers.questions.busy_retry import retry_while_busy

# An error that Stripe keeps for an idempotency key is got round by another key so often.
ATTEMPTS_MAX = 3

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an action: the id it was about, or the problem that kept it from being done."""

    action: Action
    id: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogueSync:
    """An account and our catalogue; `test_mode` is the mode whose objects may be touched."""

    engine: Engine
    gateway: StripeGateway
    test_mode: bool

    def plan(self, plan_type: str | None = None) -> SyncPlan:
        """What must be done; changes nothing.

        Raises `StripeUnavailable`, and `WrongModeError` where the account is of the other mode.
        """
        with self.engine.connect() as connection:
            catalogue = db.ledger.catalogue.load(connection)
            current = db.ledger.catalogue.current_price_ids(connection)
        bound = {price_id for plan in catalogue.plans for price_id in plan.stripe_price_ids}
        return plan_sync(catalogue, current, self._account(bound), plan_type)

    def carry_out(self, planned: SyncPlan) -> Iterator[Done]:
        """Do it, action by action; what depends on one that failed is not tried.

        Raises `WrongModeError` at the first object that turns out to be of the other mode.
        """
        return _Run(self).run(planned.actions)

    def _account(self, bound: Collection[str]) -> Account:
        prices = retry_while_busy(lambda: list(self._prices(bound)))
        named = {price.product_id for price in prices}
        products = retry_while_busy(lambda: list(self._products(named)))
        return Account({item.id: item for item in products}, {item.id: item for item in prices})

    def _prices(self, bound: Collection[str]) -> Iterator[Price]:
        """Prices that may matter: an account has many more, one for each inline price sold."""
        for listed in self._checked(self.gateway.prices()):
            price = price_of(listed)
            if price.active or price.id in bound or price.plan_id is not None or price.lookup_key:
                yield price

    def _products(self, named: Collection[str]) -> Iterator[Product]:
        for listed in self._checked(self.gateway.products()):
            product = product_of(listed)
            if product.id in named or product.plan_id is not None:
                yield product

    def _checked(self, listed: Iterable[Json]) -> Iterator[Json]:
        for item in listed:
            require_mode(item, test_mode=self.test_mode)
            yield item


@dataclass(slots=True)
class _Run:
    """Carries actions out; remembers what was made, and what failed, by plan and currency."""

    sync: CatalogueSync
    cache: CatalogueCache = field(default_factory=CatalogueCache)
    products: dict[int, str] = field(default_factory=dict)
    prices: dict[tuple[int, str | None], str] = field(default_factory=dict)
    failed: set[tuple[int, str | None]] = field(default_factory=set)
    is_silent: bool = False

    def run(self, actions: Sequence[Action]) -> Iterator[Done]:
        """Every action with what came of it."""
        for action in actions:
            done = self._tried(action)
            if done.problem:
                self.failed.add((action.plan.id, action.currency))
            yield done

    def _tried(self, action: Action) -> Done:
        if self.is_silent:
            return Done(action, problem="not tried, because Stripe does not answer")
        if self.failed & {(action.plan.id, None), (action.plan.id, action.currency)}:
            return Done(action, problem="not tried, because what it needs was not done")
        try:
            return Done(action, id=self._carried_out(action))
        except StripeUnavailable as error:
            self.is_silent = error.status is None
            return Done(action, problem=stripe_problem(error))
        except CatalogueError as error:
            return Done(action, problem=str(error))

    def _carried_out(self, action: Action) -> str:
        gateway, target, params = self.sync.gateway, action.target_id or "", dict(action.params)
        plan_id, place = action.plan.id, (action.plan.id, action.currency)
        match action.do:
            case Do.CREATE_PRODUCT:
                self.products[plan_id] = self._made(action, params)
                return self.products[plan_id]
            case Do.CREATE_PRICE:
                params.setdefault("product", self.products.get(plan_id, ""))
                self.prices[place] = self._made(action, params)
                self._link(action, self.prices[place])
                return self.prices[place]
            case Do.LINK:
                self._link(action, target)
            case Do.UPDATE_PRODUCT:
                retry_while_busy(lambda: gateway.update_product(target, params))
            case Do.SET_DEFAULT_PRICE:
                params.setdefault("default_price", self.prices.get(place, ""))
                retry_while_busy(lambda: gateway.update_product(target, params))
            case Do.UPDATE_PRICE | Do.ARCHIVE_PRICE:
                retry_while_busy(lambda: gateway.update_price(target, params))
        return target

    def _made(self, action: Action, params: Json) -> str:
        """The id of what was made now, or by an earlier question whose answer was lost."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            key = idempotency_key(action, params, attempt)
            try:
                answer = retry_while_busy(partial(self._create, action.do, params, key))
            except StripeUnavailable as error:
                # Without an answer the first question may be under way: only its own key is safe.
                if error.status is None or not error.indeterminate:
                    raise
                made = self._looked_up(action, params)
                if made is None and attempt == ATTEMPTS_MAX:
                    raise
            else:
                require_mode(answer, test_mode=self.sync.test_mode)
                made = text_of(answer.get("id"))
            if made is not None:
                return made
        raise CatalogueError("Stripe answered without an id; run again.")

    def _create(self, do: Do, params: Json, key: str) -> Json:
        gateway = self.sync.gateway
        create = gateway.create_product if do is Do.CREATE_PRODUCT else gateway.create_price
        return create(params, idempotency_key=key)

    def _looked_up(self, action: Action, params: Json) -> str | None:
        """What was made although Stripe answered with an error."""
        if action.do is Do.CREATE_PRODUCT:
            products = retry_while_busy(
                lambda: [product_of(item) for item in self.sync.gateway.products()]
            )
            return next((item.id for item in products if item.plan_id == action.plan.id), None)
        prices = retry_while_busy(lambda: [price_of(item) for item in self.sync.gateway.prices()])
        return next((item.id for item in prices if _is_made_with(item, params)), None)

    def _link(self, action: Action, price_id: str) -> None:
        """Make a price the one at which a plan's version is sold in its currency."""
        plan, currency = action.plan, action.currency or ""
        with self.sync.engine.begin() as connection:
            db.ledger.catalogue.lock(connection)
            catalogue = db.ledger.catalogue.load(connection)
            holder, now = catalogue.by_price(price_id), catalogue.current(plan.id)
            if now is None or now.version != plan.version or not _is_same(holder, plan):
                raise CatalogueError("the catalogue was changed meanwhile; run again")
            if not now.active or currency not in now.sale_prices:
                raise CatalogueError("it was taken off sale meanwhile; run again")
            change = CatalogueChange(now, now, (), {price_id: currency})
            db.ledger.catalogue.save(connection, [change])
        if holder is None and action.do is Do.LINK:
            # It may have been sold at before we knew it; a price made just now was not.
            derive_after(self.sync.engine, [change], self.cache)


def _is_same(holder: Plan | None, plan: Plan) -> bool:
    return holder is None or (holder.id, holder.version) == (plan.id, plan.version)


def _is_made_with(price: Price, params: Mapping[str, Any]) -> bool:
    actual = (price.product_id, price.currency, price.amount_minor, price.period, price.active)
    wanted = (params["product"], params["currency"], params["unit_amount"])
    return actual == (*wanted, period_in(params), True) and not missing(
        params["metadata"], price.metadata
    )


def stripe_problem(error: StripeUnavailable) -> str:
    """An error of Stripe in one line, with the request id that Stripe's support asks for."""
    about = f" for {error.param}" if error.param else ""
    code = f", {error.code}{about}" if error.code or about else ""
    request = f"; request {error.request_id}" if error.request_id else ""
    return f"{error.detail}{code}{request}"
