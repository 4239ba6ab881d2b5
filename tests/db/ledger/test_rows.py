"""Rows: what is written is what is read, and facts of earlier releases are read as well."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from db.bodies import compress
from db.ledger import rows
from domain.events import Stamp
from domain.payments.claims import Assigned, Customer, UserClaim
from domain.payments.credit_notes import CreditNote
from domain.payments.derivation import Payment
from domain.payments.details import (
    IntentDetails,
    InvoiceDetails,
    RefundedSoFar,
    SessionDetails,
    SessionLine,
)
from domain.payments.lines import Line
from domain.payments.objects import Kind, MoneyObject
from domain.payments.reversals import Dispute, Funds, Refund
from domain.payments.sold import ItemPrice
from domain.subscriptions.states import Version

STAMP = Stamp(5, "evt_1")
LINE = Line(1_000, 1, "price_1", is_proration=False, from_subscription=True, plan_id=7)
INVOICE = InvoiceDetails(4, STAMP, "usd", 1_000, 900, True, (LINE,), False, "https://r", 1_000)  # noqa: FBT003
SESSION = SessionDetails(False, 2, 2, "usd", 1_000, 7)  # noqa: FBT003
PAYMENT = Payment("in_1", True, "user_1", "paid", "usd", 1, 2, 3, 7, 1, 1_000, False, None)  # noqa: FBT003


def read_back(record: rows.Record[Any], value: object) -> object:
    """Write a value and read it, with JSON columns as the driver gives them."""
    row = record.row(value)
    columns = [
        orjson.dumps(row[name]).decode() if isinstance(row[name], list | dict) else row[name]
        for name in row
        if name != "lacks_user"
    ]
    names = [name for name in row if name != "lacks_user"]
    order = [column.rpartition(" ")[2] for column in record.selected().split(", ")]
    return record.value([columns[names.index(name)] for name in order])


@pytest.mark.parametrize(
    ("record", "value"),
    [
        (rows.CUSTOMERS, Customer("cus_1")),
        (
            rows.CUSTOMERS,
            Customer("cus_1", "user_1", STAMP, frozenset({"user_2"}), 7, frozenset({"acct_1"})),
        ),
        (rows.REFUNDS, Refund("re_1", "pi_1", "failed", 5, 7)),
        (rows.DISPUTES, Dispute("dp_1", "ch_1", "lost", 1, 5, Funds.WITHDRAWN, 2, "usd")),
        (rows.CREDIT_NOTES, CreditNote("cn_1", "in_1", 5, is_void=True, refunds={"re_1": 3})),
        (rows.CREDIT_NOTES, CreditNote("cn_1", "in_1", 5)),
        (rows.PAYMENTS, PAYMENT),
    ],
)
def test_a_record_is_read_as_it_was_written(record: rows.Record[Any], value: object) -> None:
    """Each field comes back to its place."""
    assert read_back(record, value) == value


def money(**changes: Any) -> MoneyObject:
    """A money object of which little is known."""
    return MoneyObject("in_1", Kind.INVOICE, customer_id="cus_1", **changes)


@pytest.mark.parametrize(
    "value",
    [
        money(),
        money(parents=frozenset({"in_2", "in_3"}), claim=UserClaim(1, STAMP, "user_1"), created=0),
        money(invoice=INVOICE),
        money(session=SESSION),
        money(
            session=SessionDetails(
                *(True, 2, 1, "usd", 1_000, None, True, 900),
                lines=(SessionLine("price_1", Fraction(1, 3)), SessionLine(None, 2)),
                named={7: 5},
            )
        ),
        money(session=SessionDetails(True, 0, 0, "usd", 0, None, lines=())),  # noqa: FBT003
        money(intent=IntentDetails(5, 4, "usd", has_failed=True)),
        money(intent=IntentDetails(5, 4, "usd", refunded={"ch_1": RefundedSoFar(3, 2)})),
        money(assigned_user=Assigned(STAMP, "user_2"), assigned_plan=Assigned(STAMP, "7")),
    ],
)
def test_facts_are_read_as_they_were_written(value: MoneyObject) -> None:
    """Through JSON, as PostgreSQL keeps them."""
    facts = orjson.dumps(rows.money_facts(value)).decode()
    row = (value.id, value.kind.value, "in_1", value.customer_id, value.subscription_id, facts)
    assert rows.money_from(row) == value


def test_what_is_unknown_is_left_out() -> None:
    """Most of what could be known never is, and every byte is stored for ever."""
    assert rows.money_facts(money()) == {}
    kept = rows.money_facts(money(invoice=INVOICE))["invoice"]
    assert kept.keys().isdisjoint({"noted", "cut", "old"})
    assert kept["lines"] == [[1_000, 1, "price_1", False, True, 7]]


def test_an_invoice_of_before_0_2_lacks_its_periods() -> None:
    """It kept neither totals nor periods, so the next report of it wins."""
    kept = rows.money_facts(money(invoice=INVOICE))
    del kept["invoice"]["total"]
    row = ("in_1", "invoice", "in_1", "cus_1", None, orjson.dumps(kept).decode())
    invoice = rows.money_from(row).invoice
    assert invoice is not None
    assert (invoice.lacks_periods, invoice.total_minor) == (True, None)


def test_a_longer_line_of_a_newer_release_is_read_as_far_as_it_is_known() -> None:
    """Two releases run side by side; the newer one may have more to say of a line."""
    kept = rows.money_facts(money(invoice=INVOICE))
    kept["invoice"]["lines"] = [[*LINE, "more", {"and": "more"}]]
    row = ("in_1", "invoice", "in_1", "cus_1", None, orjson.dumps(kept).decode())
    invoice = rows.money_from(row).invoice
    assert invoice is not None
    assert invoice.lines == (LINE,)


def test_longer_reports_and_prices_of_a_newer_release_are_read_as_far_as_they_are_known() -> None:
    """The same of what a subscription keeps."""
    price = ItemPrice("price_1", is_metered=False, unit_amount_minor=900, currency="usd")
    version = Version(5, "evt_1", "a.type", {"id": "sub_1"}, {})
    kept = [[*price, "more"]]
    versions = orjson.dumps([[5, "evt_1", "a.type", {"id": "sub_1"}, {}, "more"]])
    row = SimpleNamespace(
        id="sub_1",
        customer_id="cus_1",
        claimed_plan_id=None,
        sold=orjson.dumps({"items": {"si_1": [kept, []]}}).decode(),
        versions=compress(versions),
    )
    subscription = rows.subscription_from(row)
    assert subscription.versions == (version,)
    assert subscription.sold.items["si_1"].prices == {price}


def test_a_prorated_invoice_is_found_by_its_facts() -> None:
    """A period of a subscription that comes to be known concerns these alone."""
    prorated = LINE._replace(is_proration=True)
    invoice = InvoiceDetails(4, STAMP, "usd", 0, 0, False, (LINE, prorated), total_minor=0)  # noqa: FBT003
    assert rows.money_facts(money(invoice=invoice))["prorated"] is True
    assert "prorated" not in rows.money_facts(money(invoice=INVOICE))


def test_only_a_root_carries_a_payment() -> None:
    """The others of its cluster have the columns of none."""
    assert rows.payment_row(money(), "in_1", PAYMENT)["tokens"] == 1_000
    other = rows.payment_row(money(), "in_2", None)
    assert (other["listed"], other["tokens"], other["lacks_user"]) == (False, 0, False)
