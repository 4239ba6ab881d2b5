"""What is expected of sales made outside our checkout, by figures worked out by hand."""

from typing import Any

import pytest

from sandbox.simulate.account import Account
from sandbox.simulate.asked import line_items
from sandbox.simulate.connected import connected
from sandbox.simulate.contract_records import Customer
from sandbox.simulate.money_records import Charge
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Session
from sandbox.simulate.sales import Sale
from sandbox.simulate.versions import NEW, OLD, ApiVersion
from tests.stripe_types import problems_of

PRO = Plan(1, "full", "Pro", 10_000, "month", {"usd": 2900}, {"usd": "price_pro"})
PACK = Plan(4, "token", "Pack", 1000, None, {"usd": 500, "eur": 450}, {"usd": "price_pack"})
LARGE = Plan(5, "token", "Large", 12_000, None, {"usd": 4900}, {"usd": "price_large"})
GIFT = Plan(7, "token", "Gift", 100, None, {"usd": 0}, {"usd": "price_gift"})


def an_account() -> Account:
    """An account of its own."""
    return Account(seed=1, run="test", starts_at=1_750_000_000)


def a_visitor(account: Account, version: ApiVersion = NEW[0], *, guest: bool = False) -> Customer:
    """The customer that a Payment Link makes for `user`."""
    return account.customer("user", version, linked=False, guest=guest)


def sales(account: Account, *, asking: bool = False) -> tuple[Sale, ...]:
    """What is listed for the user."""
    (only,) = (each for each in account.expected.users(asking=asking) if each.user_id == "user")
    return only.sales


def figures(sale: Sale) -> tuple[str, int, int, bool]:
    """Status, amount, tokens, and whether a note must say why it is worth nothing yet."""
    return sale.status, sale.amount, sale.tokens, sale.has_note


def drawn(account: Account, kind: str) -> dict[str, Any]:
    """The object of the only event of a type."""
    (found,) = [event.payload["data"]["object"] for event in account.events if event.type == kind]
    return dict(found)


def charge_of(session: Session) -> Charge:
    """The charge that paid a session."""
    assert session.intent is not None
    assert session.intent.charge is not None
    return session.intent.charge


@pytest.mark.parametrize("version", OLD + NEW)
@pytest.mark.parametrize(
    ("basket", "names", "invoicing", "alone", "asked"),
    [
        # One package, nothing named (12): nothing until the line items are asked for.
        ([(PACK, 1)], None, False, ("paid", 500, 0, True), ("paid", 500, 1000, False)),
        # Three packages, plan named by the link (45): 1500 is three times 500.
        ([(PACK, 3)], PACK, False, ("paid", 1500, 3000, False), ("paid", 1500, 3000, False)),
        # Nothing named, but its invoice has lines at prices of the catalogue.
        ([(PACK, 3)], None, True, ("paid", 1500, 3000, False), ("paid", 1500, 3000, False)),
        # Two kinds: 2 x 500 + 4900; the lines of the invoice say 2000 + 12000.
        (
            [(PACK, 2), (LARGE, 1)],
            None,
            True,
            ("paid", 5900, 14_000, False),
            ("paid", 5900, 14_000, False),
        ),
        # Two kinds, one named: 5900 is no whole number of 4900, whatever the invoice says.
        (
            [(PACK, 2), (LARGE, 1)],
            LARGE,
            True,
            ("paid", 5900, 0, True),
            ("paid", 5900, 14_000, False),
        ),
        # Another plan is named than is sold.
        ([(PACK, 1)], LARGE, False, ("paid", 500, 0, True), ("paid", 500, 1000, False)),
        # 98 small ones cost what ten large ones do: the name counts until somebody asks.
        (
            [(PACK, 98)],
            LARGE,
            False,
            ("paid", 49_000, 120_000, False),
            ("paid", 49_000, 98_000, False),
        ),
    ],
)
def test_what_a_link_is_worth_by_itself_and_once_its_items_are_known(
    version: ApiVersion,
    basket: list[tuple[Plan, int]],
    names: Plan | None,
    *,
    invoicing: bool,
    alone: tuple[str, int, int, bool],
    asked: tuple[str, int, int, bool],
) -> None:
    """Whole packages of the plan named, else the invoice's lines, else nothing yet."""
    account = an_account()
    buyer = a_visitor(account, version)
    session = account.link_session(
        buyer, basket, reference="user", names=names, invoicing=invoicing
    )
    account.sell(session)
    assert [figures(sale) for sale in sales(account)] == [alone]
    assert [figures(sale) for sale in sales(account, asking=True)] == [asked]
    assert sales(account)[0].id == (session.invoice.id if session.invoice else session.id)


def test_a_links_session_carries_no_metadata_but_the_links_own() -> None:
    """The user is only in `client_reference_id`, and the customer says nothing."""
    account = an_account()
    account.sell(
        account.link_session(a_visitor(account), [(PACK, 2)], reference="user", names=PACK)
    )
    session, intent = (
        drawn(account, kind) for kind in ("checkout.session.completed", "payment_intent.succeeded")
    )
    assert session["client_reference_id"] == "user"
    assert session["metadata"] == {"plan_id": "4"}
    assert session["payment_link"].startswith("plink_")
    assert (session["amount_subtotal"], "line_items" in session) == (1000, False)
    assert (intent["metadata"], drawn(account, "customer.created")["metadata"]) == ({}, {})


def test_a_guests_link_has_no_customer() -> None:
    """As Stripe's links do where nothing asks for one."""
    account = an_account()
    account.sell(
        account.link_session(
            a_visitor(account, guest=True), [(PACK, 1)], reference="user", names=PACK
        )
    )
    assert drawn(account, "checkout.session.completed")["customer"] is None
    assert [figures(sale) for sale in sales(account)] == [("paid", 500, 1000, False)]


@pytest.mark.parametrize("version", OLD + NEW)
@pytest.mark.parametrize("invoicing", [False, True])
def test_a_promotion_and_a_tax_change_what_is_paid_and_no_tokens(
    version: ApiVersion, *, invoicing: bool
) -> None:
    """15.00 less a quarter is 11.25, and 19 % of that 2.13: 13.38 for 3,000; 4.46 back a third."""
    account = an_account()
    session = account.link_session(
        a_visitor(account, version), [(PACK, 3)], reference="user", names=PACK, invoicing=invoicing
    )
    account.sell(account.reduce(session, percent=25, tax_percent=19))
    assert [figures(sale) for sale in sales(account)] == [("paid", 1338, 3000, False)]
    told = drawn(account, "checkout.session.completed")
    assert told["total_details"]["amount_discount"] == 375
    assert told["total_details"]["amount_tax"] == 213
    assert told["discounts"][0]["promotion_code"].startswith("promo_")
    if invoicing:
        invoice = drawn(account, "invoice.paid")
        assert (invoice["total"], invoice["total_excluding_tax"]) == (1338, 1125)
        (tax,) = invoice["total_taxes" if version.basil else "total_tax_amounts"]
        assert (tax["amount"], tax["taxable_amount"]) == (213, 1125)
    account.refund(charge_of(session), 446)
    assert [figures(sale) for sale in sales(account)] == [("partially_refunded", 1338, 2000, False)]


@pytest.mark.parametrize("invoicing", [False, True])
def test_a_package_for_nothing_is_worth_as_much_as_a_paid_one(*, invoicing: bool) -> None:
    """100 % off two packages: nobody paid, and both count."""
    account = an_account()
    session = account.link_session(
        a_visitor(account), [(PACK, 2)], reference="user", names=PACK, invoicing=invoicing
    )
    account.sell(account.reduce(session, percent=100))
    assert drawn(account, "checkout.session.completed")["payment_status"] == "no_payment_required"
    assert [figures(sale) for sale in sales(account)] == [("paid", 0, 2000, False)]


@pytest.mark.parametrize(
    ("plan", "amount", "currency", "wanted"),
    [
        (LARGE, 50, "", ("paid", 50, 0, True)),
        (PACK, 751, "", ("paid", 751, 0, True)),
        (PACK, 1500, "", ("paid", 1500, 3000, False)),
        (PACK, 499, "", ("paid", 499, 0, True)),
        (PACK, 500, "chf", ("paid", 500, 0, True)),
        (PACK, 900, "eur", ("paid", 900, 2000, False)),
        (GIFT, 0, "", ("paid", 0, 100, False)),
        (GIFT, 300, "", ("paid", 300, 0, True)),
    ],
)
def test_a_session_of_ours_is_worth_what_its_amount_buys(
    plan: Plan, amount: int, currency: str, wanted: tuple[str, int, int, bool]
) -> None:
    """A whole number of packages at the plan's price in the session's currency, or nothing yet."""
    account = an_account()
    buyer = account.customer("user", NEW[1])
    account.sell(account.odd_session(buyer, plan, amount, currency=currency))
    assert drawn(account, "checkout.session.completed")["metadata"]["plan_id"] == str(plan.id)
    assert [figures(sale) for sale in sales(account)] == [wanted]
    # Its price is no price of the catalogue, so asking for its items changes nothing.
    assert [figures(sale) for sale in sales(account, asking=True)] == [wanted]


def test_what_nothing_links_is_nobodys_until_the_customer_is_claimed() -> None:
    """A link without reference: no user has it, then the one whose id is put on the customer."""
    account = an_account()
    buyer = a_visitor(account)
    account.sell(account.link_session(buyer, [(PACK, 2)], names=PACK))
    assert sales(account) == ()
    account.claim(buyer)
    assert [figures(sale) for sale in sales(account)] == [("paid", 1000, 2000, False)]
    assert drawn(account, "customer.updated")["metadata"] == {"user_id": "user"}


def test_a_strangers_session_that_names_a_victim_is_the_victims_and_nothing_else_is() -> None:
    """The session's user is whom it names; what the stranger bought before stays theirs."""
    account = an_account()
    stranger = account.customer("stranger", NEW[0], linked=False)
    account.buy_package(stranger, PACK)
    account.customer("user", NEW[0])
    account.sell(account.link_session(stranger, [(PACK, 3)], reference="user", names=PACK))
    balances = {each.user_id: each.balance for each in account.expected.users()}
    assert balances == {"stranger": 1000, "user": 3000}


def test_two_customers_of_one_user_fill_one_balance() -> None:
    """1,000 on one, 10,000 twice on the other, half of the first taken back."""
    account = an_account()
    first = account.buy_package(account.customer("user", NEW[0]), PACK)
    account.renew(account.subscribe(account.customer("user", NEW[0], linked=False), PRO))
    account.refund(charge_of(first), 250)
    (only,) = account.expected.users()
    assert only.balance == 20_500


@pytest.mark.parametrize("key", ["account", "context"])
def test_what_happens_on_a_connected_account_is_not_in_our_books(key: str) -> None:
    """Every envelope names the other account; before and after, none names any."""
    account = an_account()
    account.buy_package(account.customer("user", NEW[1]), PACK)
    ours = len(account.events)
    with connected(account, key=key):
        theirs = account.customer("user", NEW[1])
        session = account.buy_package(theirs, PACK, invoicing=True)
        account.renew(account.subscribe(theirs, PRO))
        account.refund(charge_of(session), 100)
        account.dispute(charge_of(session), 400)
    foreign = len(account.events)
    account.buy_package(account.customer("user", NEW[1]), PACK)
    named = [event.payload.get(key) for event in account.events]
    assert set(named[:ours] + named[foreign:]) == {None}
    (other,) = set(named[ours:foreign])
    assert other is not None
    assert other.startswith("acct_")
    (only,) = account.expected.users()
    assert (only.balance, len(only.sales), only.subscriptions) == (2000, 2, ())


def test_line_items_say_what_the_session_does_not() -> None:
    """The answer adds up to the session, and is what the SDK types."""
    account = an_account()
    session = account.link_session(a_visitor(account), [(PACK, 2), (LARGE, 1)], reference="user")
    account.sell(account.reduce(session, percent=50, tax_percent=10))
    answer = line_items(account, session.id)
    assert not problems_of(answer)
    rows = answer["data"]
    assert [(row["price"]["id"], row["quantity"]) for row in rows] == [
        ("price_pack", 2),
        ("price_large", 1),
    ]
    told = drawn(account, "checkout.session.completed")
    for name in ("amount_subtotal", "amount_total"):
        assert sum(row[name] for row in rows) == told[name]


def test_the_comparison_can_be_asked_with_answers_or_without() -> None:
    """Asking copies: what was expected before stays as it was."""
    account = an_account()
    account.sell(account.link_session(a_visitor(account), [(PACK, 1)], reference="user"))
    assert [each.balance for each in account.expected.users(asking=True)] == [1000]
    assert [each.balance for each in account.expected.users()] == [0]
