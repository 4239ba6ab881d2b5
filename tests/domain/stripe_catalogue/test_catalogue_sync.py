"""The plan of a synchronisation: what is made, changed, archived, and what is left alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalogue.plans import Catalogue, Plan
from domain.modes import WrongModeError, require_mode
from domain.stripe_catalogue.actions import Action, Do, SyncPlan, idempotency_key
from domain.stripe_catalogue.plan import plan_sync
from domain.stripe_catalogue.remote import Account as Found
from domain.stripe_catalogue.remote import period_in, price_of, product_of
from tests.examples import examples
from tests.play import a_plan
from tests.stripe_catalogue import Account


@dataclass
class Shop:
    """Our catalogue with its links, beside an account."""

    plans: dict[tuple[int, int], Plan] = field(default_factory=dict)
    current: dict[tuple[int, int, str], str] = field(default_factory=dict)
    account: Account = field(default_factory=Account)

    def load(self, *plans: Plan) -> None:
        """Bring plans in, as versions of what is there."""
        for plan in plans:
            self.plans[plan.id, plan.version] = plan
            for price_id, currency in plan.stripe_price_ids.items():
                self.current[plan.id, plan.version, currency] = price_id

    def plan(self, plan_type: str | None = None) -> SyncPlan:
        """What must be done."""
        account = self.account
        found = Found(
            {each["id"]: product_of(each) for each in account.products.values()},
            {each["id"]: price_of(each) for each in account.prices.values()},
        )
        catalogue = Catalogue.of(self.plans.values())
        current = {
            price_id
            for (plan_id, version, currency), price_id in self.current.items()
            if currency not in self.plans[plan_id, version].off_sale_currencies
        }
        return plan_sync(catalogue, current, found, plan_type)

    def sync(self) -> list[Do]:
        """Do it, and say what was done; afterwards there must be nothing to do."""
        actions = self.plan().actions
        for action in actions:
            self._carry_out(action)
        assert self.plan().actions == ()
        return [action.do for action in actions]

    def _carry_out(self, action: Action) -> None:
        plan, target, params = action.plan, action.target_id, dict(action.params)
        if action.do is Do.CREATE_PRODUCT:
            self.account.create("products", params, idempotency_key(action, params))
        elif action.do is Do.CREATE_PRICE:
            params.setdefault("product", self._product(plan.id))
            made = self.account.create("prices", params, idempotency_key(action, params))
            self.link(plan, str(action.currency), made["id"])
        elif action.do is Do.LINK:
            self.link(plan, str(action.currency), str(target))
        elif action.do is Do.SET_DEFAULT_PRICE:
            place = (plan.id, plan.version, str(action.currency))
            params.setdefault("default_price", self.current.get(place))
            self.account.update("products", str(target), params)
        else:
            kind = "products" if action.do is Do.UPDATE_PRODUCT else "prices"
            self.account.update(kind, str(target), params)

    def _product(self, plan_id: int) -> str:
        mine = {"plan_id": str(plan_id)}.items()
        found = self.account.products.values()
        return next(str(each["id"]) for each in found if mine <= each["metadata"].items())

    def link(self, plan: Plan, currency: str, price_id: str) -> None:
        """Bind a price, as the tables do."""
        known = self.plans[plan.id, plan.version]
        bound = {**known.stripe_price_ids, price_id: currency}
        self.plans[plan.id, plan.version] = replace(known, stripe_price_ids=bound)
        self.current[plan.id, plan.version, currency] = price_id

    def price(self, plan_id: int, currency: str, version: int = 1) -> dict[str, Any]:
        """The price at which a plan is sold."""
        return self.account.prices[self.current[plan_id, version, currency]]


@pytest.fixture
def shop() -> Shop:
    """A monthly plan in two currencies and a package, all in Stripe."""
    found = Shop()
    found.load(a_plan(1, 100), a_plan(2, 50, type="token", interval=None, prices={"usd": 500}))
    found.sync()
    return found


def active(shop: Shop) -> set[tuple[str, str, int]]:
    """The active prices of plans: plan, currency and amount."""
    return {
        (price["metadata"]["plan_id"], price["currency"], price["unit_amount"])
        for price in shop.account.prices.values()
        if price["active"] and "plan_id" in price["metadata"]
    }


def test_an_empty_account_gets_a_product_a_plan_and_a_price_a_currency(shop: Shop) -> None:
    """With our ids in the metadata, and lookup keys by which others find the price."""
    assert len(shop.account.products) == 2
    assert active(shop) == {("1", "usd", 2_900), ("1", "eur", 2_700), ("2", "usd", 500)}
    price = shop.price(1, "eur")
    assert price["lookup_key"] == "plan_1_eur"
    assert price["metadata"] == {"plan_id": "1", "version": "1", "tokens": "100"}
    assert price["recurring"]["interval"] == "month"
    assert shop.price(2, "usd")["recurring"] is None
    product = shop.account.products[price["product"]]
    assert product["metadata"] == {"plan_id": "1", "plan_type": "full", "tokens": "100"}


def test_another_name_changes_the_product_only(shop: Shop) -> None:
    """An archived one is activated too, and a description is taken away when it is gone."""
    shop.account.update("products", "prod_1", {"active": False, "description": "Old words"})
    shop.load(replace(shop.plans[1, 1], name="Premium"))
    assert shop.sync() == [Do.UPDATE_PRODUCT]
    product = shop.account.products["prod_1"]
    assert (product["name"], product["active"], product["description"]) == ("Premium", True, None)


@pytest.mark.parametrize("changes", [{"prices": {"usd": 2_900, "eur": 2_700}, "tokens": 200}])
def test_another_version_gets_prices_of_its_own(shop: Shop, changes: Mapping[str, Any]) -> None:
    """Also at the same amount, because a price keeps the terms it was sold at."""
    before = shop.price(1, "usd")
    fresh = replace(shop.plans[1, 1], version=2, stripe_price_ids={}, **changes)
    shop.load(fresh)
    assert shop.sync() == [
        Do.UPDATE_PRODUCT,
        *[Do.CREATE_PRICE] * 2,
        *[Do.ARCHIVE_PRICE] * 2,
    ]
    after = shop.price(1, "usd", version=2)
    assert (before["active"], before["lookup_key"]) == (False, None)
    assert (after["active"], after["lookup_key"]) == (True, "plan_1_usd")
    assert before["metadata"]["tokens"] == "100"


def test_a_price_that_was_archived_by_hand_is_activated_again(shop: Shop) -> None:
    """No second one is made."""
    shop.account.update("prices", shop.price(1, "usd")["id"], {"active": False})
    assert shop.sync() == [Do.UPDATE_PRICE]


def test_a_plan_that_is_not_sold_any_more_is_archived_and_comes_back_as_it_was(
    shop: Shop,
) -> None:
    """The product and its prices; then the very same ones are sold again."""
    prices = dict(shop.account.prices)
    shop.load(replace(shop.plans[1, 1], active=False))
    assert shop.sync() == [Do.ARCHIVE_PRICE, Do.ARCHIVE_PRICE, Do.UPDATE_PRODUCT]
    assert active(shop) == {("2", "usd", 500)}
    shop.load(replace(shop.plans[1, 1], active=True))
    assert shop.sync() == [Do.UPDATE_PRODUCT, Do.UPDATE_PRICE, Do.UPDATE_PRICE]
    assert shop.account.prices == prices


def test_a_price_id_of_the_catalogue_file_that_the_account_lacks_is_replaced(shop: Shop) -> None:
    """The plan says which, and why."""
    shop.load(a_plan(3, 10, prices={"usd": 100}, stripe_price_ids={"price_of_the_file": "usd"}))
    product, price = shop.plan().actions
    assert product.do is Do.CREATE_PRODUCT
    assert price.why == ("price_of_the_file, linked here, is not in this account",)
    shop.sync()


def a_foreign_price(shop: Shop, **changes: Any) -> str:
    """A price that a person made in the dashboard."""
    product = shop.account.create("products", {"name": "By hand"})
    params = {"product": product["id"], "currency": "usd", "unit_amount": 100} | changes
    price_id: str = shop.account.create("prices", params)["id"]
    return price_id


def test_a_foreign_price_that_fits_is_sold_at_and_not_touched(shop: Shop) -> None:
    """The catalogue file names it; no product of ours is needed for it."""
    price_id = a_foreign_price(shop)
    shop.load(
        a_plan(
            3,
            10,
            type="token",
            interval=None,
            prices={"usd": 100},
            stripe_price_ids={price_id: "usd"},
        )
    )
    assert shop.sync() == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"unit_amount": 99}, "is 99 usd every month"),
        ({"currency": "eur"}, "is 100 eur every month"),
        ({"recurring": {"interval": "year"}}, "is 100 usd every year"),
        ({"recurring": {"interval": "month", "interval_count": 3}}, "is 100 usd every 3 month"),
    ],
)
def test_a_foreign_price_on_other_terms_is_replaced_and_not_touched(
    shop: Shop, changes: dict[str, Any], why: str
) -> None:
    """Buyers must pay what the catalogue says."""
    price_id = a_foreign_price(shop, **({"recurring": {"interval": "month"}} | changes))
    before = dict(shop.account.prices[price_id])
    shop.load(a_plan(3, 10, prices={"usd": 100}, stripe_price_ids={price_id: "usd"}))
    assert shop.plan().actions[1].why == (f"{price_id}, linked here, {why}",)
    assert shop.sync() == [Do.CREATE_PRODUCT, Do.CREATE_PRICE]
    assert shop.account.prices[price_id] == before


def off_sale(shop: Shop, plan_id: int, currency: str) -> None:
    """Take a currency of a plan out of the file."""
    plan = shop.plans[plan_id, 1]
    shop.plans[plan_id, 1] = replace(plan, off_sale_currencies=frozenset({currency}))


def test_a_currency_off_sale_is_archived_and_comes_back(shop: Shop) -> None:
    """Payment links and portals sell at every active price."""
    price = shop.price(1, "eur")
    off_sale(shop, 1, "eur")
    (archived,) = shop.plan().actions
    assert archived.why == ("the plan is not sold in eur",)
    assert shop.sync() == [Do.ARCHIVE_PRICE]
    assert active(shop) == {("1", "usd", 2_900), ("2", "usd", 500)}
    shop.plans[1, 1] = replace(shop.plans[1, 1], off_sale_currencies=frozenset())
    assert shop.sync() == [Do.UPDATE_PRICE]
    assert price["active"]


def test_a_default_price_off_sale_leaves_its_place_before(shop: Shop) -> None:
    """Stripe archives no default price."""
    shop.account.products[shop.price(1, "eur")["product"]]["default_price"] = shop.price(1, "eur")[
        "id"
    ]
    off_sale(shop, 1, "eur")
    assert shop.sync() == [Do.SET_DEFAULT_PRICE, Do.ARCHIVE_PRICE]


@pytest.mark.parametrize(
    ("changes", "where"),
    [({"off_sale_currencies": frozenset({"usd"})}, " in usd"), ({"active": False}, "")],
)
def test_a_foreign_price_of_what_is_off_sale_is_told(
    shop: Shop, changes: dict[str, Any], where: str
) -> None:
    """It is not ours to archive, and sells for as long as it is active."""
    price_id = a_foreign_price(shop, recurring={"interval": "month"})
    plan = a_plan(3, 10, prices={"usd": 100, "eur": 90}, stripe_price_ids={price_id: "usd"})
    shop.load(plan)
    shop.sync()
    told = (
        f"{price_id} is not ours and active, and plan 3 is off sale{where}: archive it in the"
        " dashboard"
    )
    assert told not in shop.plan().remarks
    shop.plans[3, 1] = replace(shop.plans[3, 1], **changes)
    shop.sync()
    assert told in shop.plan().remarks
    shop.account.update("prices", price_id, {"active": False})
    assert told not in shop.plan().remarks


def test_a_plan_of_three_months_gets_a_price_of_three_months(shop: Shop) -> None:
    """One a month for the same amount is not what the catalogue says."""
    monthly = a_foreign_price(shop, recurring={"interval": "month"})
    bound = {monthly: "usd"}
    quarterly = a_plan(3, 10, prices={"usd": 100}, interval_count=3, stripe_price_ids=bound)
    shop.load(quarterly)
    assert shop.sync() == [Do.CREATE_PRODUCT, Do.CREATE_PRICE]
    recurring = shop.price(3, "usd")["recurring"]
    assert (recurring["interval"], recurring["interval_count"]) == ("month", 3)
    assert shop.account.prices[monthly]["active"]


def test_the_price_that_is_sold_at_stays_beside_an_older_one(shop: Shop) -> None:
    """Both are bound to the version: nothing is linked anew, the other is archived."""
    older = shop.price(1, "usd")
    params = {
        "product": older["product"],
        "currency": "usd",
        "unit_amount": 2_900,
        "recurring": {"interval": "month"},
        "metadata": older["metadata"],
    }
    shop.link(shop.plans[1, 1], "usd", shop.account.create("prices", params)["id"])
    assert shop.sync() == [Do.UPDATE_PRICE, Do.ARCHIVE_PRICE]
    assert older["active"] is False


@pytest.mark.parametrize("archived", [True, False])
def test_a_price_of_a_product_that_cannot_be_sold_is_replaced(
    shop: Shop,
    archived: bool,  # noqa: FBT001 - a row.
) -> None:
    """The product is archived and foreign, or that of another plan."""
    product = "prod_1"
    if archived:
        product = shop.account.create("products", {"name": "By hand"})["id"]
    recurring = {"interval": "month"}
    price_id = a_foreign_price(shop, product=product, recurring=recurring)
    shop.account.update("products", product, {"active": not archived})
    shop.load(a_plan(3, 10, prices={"usd": 100}, stripe_price_ids={price_id: "usd"}))
    (why,) = shop.plan().actions[1].why
    assert why == (
        f"{price_id}, linked here, is of {product}, which is not the plan's product or is archived"
    )
    shop.sync()


def test_marks_that_were_tampered_with_do_not_move_a_price(shop: Shop) -> None:
    """What is bound here decides: not to another plan, and not to another version."""
    price = shop.price(1, "usd")
    price["metadata"] = {"plan_id": "2", "version": "1", "tokens": "50"}
    assert shop.sync() == [Do.UPDATE_PRICE]
    assert price["metadata"] == {"plan_id": "1", "version": "1", "tokens": "100"}
    shop.load(replace(shop.plans[1, 1], version=2, tokens=200, stripe_price_ids={}))
    price["metadata"] = {"plan_id": "1", "version": "2", "tokens": "200"}
    assert Do.LINK not in shop.sync()
    assert price["active"] is False


def test_the_default_price_of_a_product_that_is_not_sold_stays_as_it_is(shop: Shop) -> None:
    """Stripe would refuse to archive it; the product is archived."""
    price_id = shop.price(2, "usd")["id"]
    shop.account.update("products", shop.price(2, "usd")["product"], {"default_price": price_id})
    shop.load(replace(shop.plans[2, 1], active=False))
    assert shop.sync() == [Do.UPDATE_PRODUCT]


def test_a_price_that_was_made_and_never_linked_is_linked(shop: Shop) -> None:
    """A run died between the two."""
    plan = shop.plans[1, 1]
    shop.plans[1, 1] = replace(plan, stripe_price_ids={})
    shop.current = {place: each for place, each in shop.current.items() if place[0] != 1}
    assert shop.sync() == [Do.LINK, Do.LINK]


def test_another_account_gets_its_own_prices_and_the_first_one_is_found_again(
    shop: Shop,
) -> None:
    """Ids of the other account stay bound, and are not current."""
    first, there = dict(shop.current), shop.account
    shop.account = Account(prefix="other_")
    assert len(shop.sync()) == 5
    shop.account = there
    assert shop.sync() == [Do.LINK] * 3
    assert shop.current == first


def test_a_default_price_is_archived_after_another_took_its_place(shop: Shop) -> None:
    """Stripe refuses to archive it otherwise."""
    before = shop.price(1, "usd")
    shop.account.update("products", "prod_1", {"default_price": before["id"]})
    shop.load(replace(shop.plans[1, 1], version=2, stripe_price_ids={}, prices={"usd": 3_000}))
    shop.sync()
    assert shop.account.products["prod_1"]["default_price"] == shop.price(1, "usd", 2)["id"]


def test_orphans_are_told_and_left(shop: Shop) -> None:
    """A product of a plan that is not here, a second one of a plan, a foreign price on ours."""
    for plan_id in ("9", "1"):
        marks = {"plan_id": plan_id, "plan_type": "full"}
        shop.account.create("products", {"name": "Twin", "metadata": marks})
    extra = {"product": "prod_1", "currency": "usd", "unit_amount": 1}
    price_id = shop.account.create("prices", extra)["id"]
    second, foreign, orphan = shop.plan().remarks
    assert "says it is plan 1, as prod_1 does" in second
    assert foreign.startswith(price_id)
    assert "plan 9, which is not in this catalogue" in orphan
    assert shop.sync() == []


def test_what_an_inline_price_left_behind_is_foreign(shop: Shop) -> None:
    """Such a product names a plan, and is none of ours."""
    shop.account.create("products", {"name": "Inline", "metadata": {"plan_id": "1"}})
    assert shop.plan() == SyncPlan((), ())


def test_a_lookup_key_of_a_foreign_price_is_left_to_it(shop: Shop) -> None:
    """It is told, and our price goes without."""
    price_id = a_foreign_price(shop, lookup_key="plan_3_usd")
    shop.load(a_plan(3, 10, prices={"usd": 100}))
    shop.sync()
    assert shop.price(3, "usd")["lookup_key"] is None
    assert shop.account.prices[price_id]["lookup_key"] == "plan_3_usd"
    assert any(price_id in remark for remark in shop.plan().remarks)


def test_only_plans_of_the_type_asked_for_are_looked_at(shop: Shop) -> None:
    """`--plan-type token` leaves full plans as they are."""
    shop.load(replace(shop.plans[1, 1], name="A"), replace(shop.plans[2, 1], name="B"))
    assert [action.plan.id for action in shop.plan("token").actions] == [2]


def test_the_idempotency_key_follows_the_content(shop: Shop) -> None:
    """The same for the same, another for other content, and after what was deleted by hand."""
    shop.load(a_plan(3, 10, prices={"usd": 100}))
    first = shop.plan().actions[0]
    again = shop.plan().actions[0]
    assert idempotency_key(first, first.params) == idempotency_key(again, again.params)
    shop.load(a_plan(3, 10, name="Other", prices={"usd": 100}))
    other = shop.plan().actions[0]
    shop.load(a_plan(3, 10, prices={"usd": 100}, stripe_price_ids={"price_gone": "usd"}))
    deleted = shop.plan().actions[0]
    keys = {idempotency_key(each, each.params) for each in (first, other, deleted)}
    assert len(keys | {idempotency_key(first, first.params, 2)}) == 4


def test_a_product_whose_marks_were_removed_is_made_again_for_prices_that_are_forgotten(
    shop: Shop,
) -> None:
    """Not asked for with the key of the first one, which would give that one again."""
    first = shop.price(2, "usd")
    shop.account.products[first["product"]]["metadata"] = {}
    del shop.current[2, 1, "usd"]
    shop.plans[2, 1] = replace(shop.plans[2, 1], stripe_price_ids={})
    assert shop.sync() == [Do.CREATE_PRODUCT, Do.CREATE_PRICE, Do.ARCHIVE_PRICE]
    assert shop.price(2, "usd")["product"] != first["product"]


def test_objects_of_the_other_mode_are_refused() -> None:
    """The message says which setting to change; an object that tells no mode passes."""
    require_mode({"id": "prod_1", "livemode": False}, test_mode=True)
    require_mode({"id": "prod_1"}, test_mode=True)
    with pytest.raises(
        WrongModeError, match="prod_1 is a live object and STRIPE_TEST_MODE is True"
    ):
        require_mode({"id": "prod_1", "livemode": True}, test_mode=True)


def test_odd_objects_are_read_all_the_same() -> None:
    """Missing fields never crash."""
    assert product_of({}).id == price_of({"recurring": {}, "unit_amount": None}).id == ""
    metered = {"interval": "month", "usage_type": "metered"}
    assert period_in({"recurring": metered}) == "month metered"


PLANS = st.builds(
    a_plan,
    st.integers(1, 3),
    st.sampled_from([100, 200]),
    version=st.just(1),
    name=st.sampled_from(["A", "B"]),
    active=st.booleans(),
    interval=st.sampled_from(["month", "year"]),
    interval_count=st.sampled_from([1, 3]),
    off_sale_currencies=st.sampled_from([frozenset(), frozenset({"eur"})]),
    prices=st.dictionaries(st.sampled_from(["usd", "eur"]), st.sampled_from([0, 500]), min_size=1),
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """Loads, mischief in the dashboard, accounts changed, in any order."""
    steps = st.one_of(
        st.tuples(st.just("load"), PLANS),
        st.tuples(st.just("toggle"), st.integers(0, 20)),
        st.tuples(st.just("rename"), st.integers(0, 20)),
        st.tuples(st.just("unmark"), st.integers(0, 20)),
        st.tuples(st.just("forget"), st.integers(0, 20)),
        st.tuples(st.just("twin"), st.integers(1, 3)),
        st.tuples(st.just("switch"), st.just(0)),
        st.tuples(st.just("sync"), st.just(0)),
    )
    return draw(st.lists(steps, min_size=1, max_size=10))


@given(histories())
@examples(150)
def test_whatever_happened_one_run_is_enough(history: list[tuple[str, Any]]) -> None:
    """Afterwards nothing is to be done, and no plan has two active prices in one currency."""
    shop, other = Shop(), Account(prefix="other_")
    for step, detail in history:
        if step == "switch":
            shop.account, other = other, shop.account
        elif step == "sync":
            shop.sync()
        else:
            _play(shop, step, detail)
    shop.sync()
    sold = [
        (price["metadata"]["plan_id"], price["currency"])
        for price in shop.account.prices.values()
        if price["active"] and price["metadata"].get("version")
    ]
    assert len(sold) == len(set(sold))
    for plan in Catalogue.of(shop.plans.values()).plans:
        if plan.active and plan.version == max(v for i, v in shop.plans if i == plan.id):
            for currency, amount in plan.sale_prices.items():
                price = shop.price(plan.id, currency, plan.version)
                assert (price["active"], price["unit_amount"]) == (True, amount)


def _play(shop: Shop, step: str, detail: Any) -> None:
    prices, products = list(shop.account.prices), list(shop.account.products)
    if step == "load":
        version = max((v for i, v in shop.plans if i == detail.id), default=0)
        shop.load(replace(detail, version=version + 1))
    elif step == "twin":
        marks = {"plan_id": str(detail), "plan_type": "full"}
        shop.account.create("products", {"name": "Twin", "metadata": marks})
    elif step == "toggle" and prices:
        price = shop.account.prices[prices[detail % len(prices)]]
        shop.account.update("prices", price["id"], {"active": not price["active"]})
    elif step == "rename" and products:
        product = products[detail % len(products)]
        shop.account.update("products", product, {"name": "By hand", "active": bool(detail % 2)})
    elif step == "unmark" and products:
        # A person empties the metadata of a product: from then on it is foreign.
        shop.account.products[products[detail % len(products)]]["metadata"] = {}
    elif step == "forget" and shop.current:
        place = sorted(shop.current)[detail % len(shop.current)]
        plan, price_id = shop.plans[place[:2]], shop.current.pop(place)
        bound = {key: value for key, value in plan.stripe_price_ids.items() if key != price_id}
        shop.plans[place[:2]] = replace(plan, stripe_price_ids=bound)
