"""The working set: what a merge marks as touched, and what is derived because of it."""

from itertools import permutations
from typing import Any

from domain.decode.facts import Fact
from domain.events import Stamp
from domain.payments.claims import Customer
from domain.payments.objects import Kind, MoneyObject
from domain.payments.reversals import Dispute, Refund
from domain.payments.sold import ItemPrice, Sold, SoldItem
from domain.subscriptions.versions import Subscription
from domain.working_set import (
    Touched,
    WorkingSet,
    commit,
    derive_touched,
    merge_money,
    merge_parties,
)
from tests.play import CATALOGUE

ANN = Customer("cus_1", "ann", Stamp(10, "a"))


def merged(working_set: WorkingSet, *facts: tuple[str, Fact]) -> Touched:
    """What these facts touch."""
    touched = Touched()
    merge_parties(working_set, touched, facts)
    merge_money(working_set, touched, facts)
    return touched


def test_a_customer_whose_user_changes_touches_what_it_owns() -> None:
    """A claim that changes nothing does not, though it is remembered."""
    working_set = WorkingSet()
    assert merged(working_set, ("e1", Customer("cus_1"))) == Touched(customers={"cus_1": "e1"})
    first = merged(working_set, ("e2", ANN))
    assert (first.customers, first.owners) == ({"cus_1": "e2"}, {"cus_1": "e2"})
    assert merged(working_set, ("e3", ANN)) == Touched()
    late = merged(working_set, ("e4", Customer("cus_1", "bob", Stamp(20, "b"))))
    assert (late.customers, late.owners) == ({"cus_1": "e4"}, {})
    early = merged(working_set, ("e5", Customer("cus_1", "eve", Stamp(5, "c"))))
    assert early.owners == {"cus_1": "e5"}


def test_a_subscription_whose_plan_changes_touches_what_it_sold() -> None:
    """By the plan and by when it was first named, which tells the terms."""
    working_set = WorkingSet()
    plain = merged(working_set, ("e1", Subscription("sub_1")))
    assert (plain.subscriptions, plain.plans) == ({"sub_1": "e1"}, {})
    claimed = Subscription("sub_1", sold=Sold(claims={2: Stamp(20, "x")}))
    assert merged(working_set, ("e2", claimed)).plans == {"sub_1": "e2"}
    earlier = Subscription("sub_1", sold=Sold(claims={2: Stamp(10, "x")}))
    assert merged(working_set, ("e3", earlier)).plans == {"sub_1": "e3"}
    assert merged(working_set, ("e4", claimed)) == Touched()


def test_a_new_period_touches_prorations_only() -> None:
    """Nothing else is worth more or less for it."""
    working_set = WorkingSet()
    item = SoldItem(frozenset({ItemPrice("price", False, 5, "usd")}), frozenset({(1, 2)}))  # noqa: FBT003 - a row.
    first = Subscription("sub_1", sold=Sold(items={"si_1": item}))
    assert merged(working_set, ("e1", first)).plans == {"sub_1": "e1"}
    renewed = Subscription(
        "sub_1", sold=Sold(items={"si_1": item._replace(periods=frozenset({(2, 3)}))})
    )
    touched = merged(working_set, ("e2", renewed))
    assert (touched.plans, touched.periods) == ({}, {"sub_1": "e2"})


def test_what_is_claimed_of_one_name_of_a_payer_holds_for_the_other() -> None:
    """Whichever comes first: the claim, the alias, or a claim under the other name."""
    account = Customer("acct_1", alias_ids=frozenset({"cus_1"}))
    customer = Customer("cus_1", alias_ids=frozenset({"acct_1"}))
    facts = [ANN, customer, account, Customer("acct_1", "bob", Stamp(20, "b"))]
    for order in permutations(facts):
        working_set = WorkingSet()
        for fact in order:
            merged(working_set, ("e1", fact))
        owners = {
            each.id: (each.user_id, each.other_user_ids) for each in working_set.customers.values()
        }
        assert owners == {name: ("ann", frozenset({"bob"})) for name in ("cus_1", "acct_1")}


def test_a_refund_or_dispute_touches_what_it_takes_from_before_and_now() -> None:
    """The charge it named first, and the intent it turns out to be of."""
    working_set = WorkingSet()
    one = merged(working_set, ("e1", Refund("re_1", "ch_1", "pending", 5)))
    assert (one.refunds, one.objects) == ({"re_1": "e1"}, {"ch_1": "e1"})
    two = merged(working_set, ("e2", Refund("re_1", "pi_1", "pending", 5)))
    assert (two.refunds, two.objects) == ({"re_1": "e2"}, {"ch_1": "e2", "pi_1": "e2"})
    dispute = merged(working_set, ("e3", Dispute("dp_1", "pi_1", "lost", 1, 5)))
    assert (dispute.disputes, dispute.objects) == ({"dp_1": "e3"}, {"pi_1": "e3"})
    assert merged(working_set, ("e4", MoneyObject("pi_1", Kind.INTENT))).objects == {"pi_1": "e4"}
    assert merged(working_set, ("e5", MoneyObject("pi_1", Kind.INTENT))).objects == {}


def a_session(**known: Any) -> MoneyObject:
    """A session of which only the links are known."""
    return MoneyObject("cs_1", Kind.SESSION, customer_id="cus_1", subscription_id="sub_1", **known)


def test_everything_a_change_concerns_is_settled_with_the_event_that_is_the_reason() -> None:
    """By owner, by plan, or by itself; the object's own event before the others."""
    working_set = WorkingSet(
        objects={"cs_1": a_session(), "pi_9": MoneyObject("pi_9", Kind.INTENT)}
    )
    for touched in (
        Touched(owners={"cus_1": "e1"}),
        Touched(plans={"sub_1": "e1"}),
        Touched(objects={"cs_1": "e1"}),
        Touched(objects={"cs_1": "e1"}, owners={"cus_1": "e2"}, plans={"sub_1": "e3"}),
    ):
        derived = derive_touched(working_set, touched, CATALOGUE)
        assert derived.roots == {"cs_1": "cs_1"}
        assert list(derived.payments) == ["cs_1"]
    assert derive_touched(working_set, Touched(), CATALOGUE).payments == {}


def test_an_object_that_found_its_root_has_its_old_root_settled_too() -> None:
    """What it was shown under must be shown without it."""
    intent = MoneyObject("pi_1", Kind.INTENT, parents=frozenset({"cs_1", "in_1"}))
    invoice = MoneyObject("in_1", Kind.INVOICE)
    working_set = WorkingSet(objects={"cs_1": a_session(), "pi_1": intent, "in_1": invoice})
    working_set.roots = {"cs_1": "cs_1", "pi_1": "cs_1"}
    derived = derive_touched(working_set, Touched(objects={"pi_1": "e1"}), CATALOGUE)
    assert derived.roots == {"cs_1": "cs_1", "pi_1": "in_1", "in_1": "in_1"}
    commit(working_set, derived)
    assert working_set.roots == {"cs_1": "cs_1", "pi_1": "in_1", "in_1": "in_1"}
    assert set(working_set.payments) == {"cs_1", "in_1"}


def test_an_owner_is_the_first_known_user_of_the_customers_of_a_payment() -> None:
    """By customer id, where objects name several; one without a user is passed over."""
    other = MoneyObject("pi_1", Kind.INTENT, parents=frozenset({"cs_1"}), customer_id="cus_0")
    working_set = WorkingSet(objects={"cs_1": a_session(), "pi_1": other}, customers={"cus_1": ANN})
    touched = Touched(objects={"cs_1": "e1"})
    assert derive_touched(working_set, touched, CATALOGUE).payments["cs_1"].user_id == "ann"
    working_set.customers["cus_0"] = Customer("cus_0")
    assert derive_touched(working_set, touched, CATALOGUE).payments["cs_1"].user_id == "ann"
    working_set.customers["cus_0"] = Customer("cus_0", "bob", Stamp(90, "z"))
    assert derive_touched(working_set, touched, CATALOGUE).payments["cs_1"].user_id == "bob"
