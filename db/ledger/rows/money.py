"""Rows of money objects and the payments that they make: columns, and facts as JSON."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import orjson

from db.ledger.rows.record import Field, Record, Row, json_field
from db.ledger.rows.times import when
from domain.events import Stamp
from domain.payments.claims import Assigned, UserClaim
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

_LINE_FIELDS_MIN = len(Line._fields) - len(Line._field_defaults)
_LINE_DEFAULTS = [Line._field_defaults.get(name) for name in Line._fields]


def _number(quantity: int | Fraction) -> int | str:
    return quantity if isinstance(quantity, int) else str(quantity)


def _number_from(kept: int | str) -> int | Fraction:
    return kept if isinstance(kept, int) else Fraction(kept)


def _line_kept(line: Line) -> list[Any]:
    """A line without what it leaves open at its end, which is most of it."""
    kept = [line.amount_minor, _number(line.quantity), *line[2:]]
    while len(kept) > _LINE_FIELDS_MIN and kept[-1] == _LINE_DEFAULTS[len(kept) - 1]:
        kept.pop()
    return kept


def _line_from(kept: Sequence[Any]) -> Line:
    # A newer release may have more to say of a line than this one knows.
    amount_minor, quantity, *rest = kept[: len(_LINE_DEFAULTS)]
    return Line(amount_minor, _number_from(quantity), *rest)


def _flag(name: str, of: Callable[[Any], Any]) -> Field:
    """What is kept only where it is true."""
    return Field(name, of=of, is_optional=True, leaves_out=True, default=False)


def _session_lines_kept(session: SessionDetails) -> list[Any] | None:
    if session.lines is None:
        return None
    return [[line.price_id, _number(line.quantity)] for line in session.lines]


_INVOICE = Record(
    InvoiceDetails,
    [
        Field("rank"),
        Field("stamp", of=lambda invoice: list(invoice.stamp), read=lambda kept: Stamp(*kept)),
        Field("currency"),
        Field("due", "amount_due_minor"),
        Field("paid", "amount_paid_minor"),
        Field("starts", "starts_subscription"),
        Field(
            "lines",
            of=lambda invoice: [_line_kept(line) for line in invoice.lines],
            read=lambda kept: tuple(_line_from(line) for line in kept),
        ),
        Field("failed", "has_failed"),
        Field("url", "receipt_url"),
        Field("total", "total_minor", is_optional=True),
        Field(
            "noted",
            of=lambda invoice: invoice.noted_minor or None,
            is_optional=True,
            leaves_out=True,
            default=0,
        ),
        _flag("cut", lambda invoice: invoice.is_cut or None),
        _flag("old", lambda invoice: invoice.lacks_periods or None),
    ],
)
_SESSION = Record(
    SessionDetails,
    [
        Field("one_time", "is_one_time"),
        Field("rank"),
        Field("payment_rank"),
        Field("currency"),
        Field("total", "amount_total_minor"),
        Field("plan_id"),
        Field("failed", "has_failed"),
        Field("subtotal", "amount_subtotal_minor", is_optional=True),
        Field(
            "lines",
            of=_session_lines_kept,
            read=lambda kept: tuple(
                SessionLine(price_id, _number_from(quantity)) for price_id, quantity in kept
            ),
            is_optional=True,
            leaves_out=True,
        ),
        Field(
            "named",
            of=lambda session: {str(plan_id): at for plan_id, at in session.named.items()},
            read=lambda kept: {int(plan_id): created for plan_id, created in kept.items()},
            is_optional=True,
            default={},
        ),
    ],
)
_INTENT = Record(
    IntentDetails,
    [
        Field("amount", "amount_minor"),
        Field("received", "received_minor"),
        Field("currency"),
        Field("failed", "has_failed"),
        Field("url", "receipt_url"),
        Field(
            "refunded",
            of=lambda intent: (
                {key: list(sums) for key, sums in (intent.refunded or {}).items()} or None
            ),
            read=lambda kept: {key: RefundedSoFar(*sums) for key, sums in kept.items()},
        ),
    ],
)


def _invoice_from(kept: Mapping[str, Any]) -> InvoiceDetails:
    invoice = _INVOICE.of_json(kept)
    # Before 0.2 neither totals nor periods were kept.
    return invoice if "total" in kept else invoice._replace(lacks_periods=True)


def _assigned_from(kept: Sequence[Any]) -> Assigned:
    return Assigned(Stamp(kept[0], kept[1]), kept[2])


def _assigned(assigned: Assigned | None) -> list[Any] | None:
    return [*assigned.stamp, assigned.value] if assigned else None


def _claim(claim: UserClaim | None) -> list[Any] | None:
    return [claim.level, *claim.stamp, claim.user_id] if claim else None


def _known(
    name: str,
    of: Callable[[MoneyObject], object],
    read: Callable[[Any], Any] | None = None,
    default: object = None,
) -> Field:
    """A fact that is left out while nothing is known."""
    return Field(name, "", of, read, is_optional=True, leaves_out=True, default=default)


def _values(*values: Any) -> tuple[Any, ...]:  # noqa: ANN401 - what a money object is made of.
    return values


_FACTS: Record[Any] = Record(
    _values,
    [
        _known("parents", lambda money: sorted(money.parents) or None, frozenset, frozenset()),
        _known(
            "claim",
            lambda money: _claim(money.claim),
            lambda kept: UserClaim(kept[0], Stamp(kept[1], kept[2]), kept[3]),
        ),
        _known("created", lambda money: money.created),
        _known(
            "invoice", lambda money: money.invoice and _INVOICE.row(money.invoice), _invoice_from
        ),
        _known(
            "session", lambda money: money.session and _SESSION.row(money.session), _SESSION.of_json
        ),
        _known("intent", lambda money: money.intent and _INTENT.row(money.intent), _INTENT.of_json),
        _known("assigned_user", lambda money: _assigned(money.assigned_user), _assigned_from),
        _known("assigned_plan", lambda money: _assigned(money.assigned_plan), _assigned_from),
    ],
)
PAYMENTS = Record(
    Payment,
    [
        *(Field("id"), Field("listed"), Field("user_id"), Field("status"), Field("currency")),
        *(Field("amount_minor"), Field("refunded_minor"), Field("disputed_minor")),
        *(Field("plan_id"), Field("plan_version"), Field("tokens"), Field("lacks_plan")),
        *(Field("receipt_url"), Field("credited_minor"), Field("note")),
        json_field(
            "loose_ends", lambda payment: list(payment.loose_ends) or None, tuple, default=()
        ),
        *(Field("question"), Field("question_subject")),
        json_field(
            "packages",
            lambda payment: (
                {str(plan_id): number for plan_id, number in payment.packages.items()} or None
            ),
            lambda kept: {int(plan_id): number for plan_id, number in kept.items()},
            default={},
        ),
    ],
    derived=("lacks_user",),
)
_NO_PAYMENT: Row = {
    "listed": False,
    "amount_minor": 0,
    "refunded_minor": 0,
    "disputed_minor": 0,
    "credited_minor": 0,
    "tokens": 0,
    "lacks_user": False,
    "lacks_plan": False,
}
# A money object's own columns come first, its payment's follow.
_OWN_COLUMNS = ("id", "kind", "root_id", "customer_id", "subscription_id")
MONEY_COLUMNS = (
    f"{', '.join(_OWN_COLUMNS)}, CAST(facts AS text) AS facts, {PAYMENTS.selected(but=('id',))}"
)


def money_facts(money: MoneyObject) -> Row:
    """What is known of a money object, as the `facts` column keeps it; unknown is left out."""
    facts = _FACTS.row(money)
    if money.invoice is not None and money.invoice.is_prorated:
        # Tells which payments a newly known period of a subscription concerns.
        facts["prorated"] = True
    return facts


def money_from(row: Any) -> MoneyObject:  # noqa: ANN401 - rows are typed by their query.
    """A money object from its row."""
    object_id, kind, _, customer_id, subscription_id, facts = row[:6]
    parents, *details = _FACTS.of_json(orjson.loads(facts))
    return MoneyObject(object_id, Kind(kind), parents, customer_id, subscription_id, *details)


def payment_row(money: MoneyObject, root_id: str, payment: Payment | None) -> Row:
    """A money object as its row; only a root carries a payment."""
    own: Row = {
        "id": money.id,
        "kind": money.kind,
        "root_id": root_id,
        "customer_id": money.customer_id,
        "subscription_id": money.subscription_id,
        "facts": money_facts(money),
        "created_at": when(money.created),
    }
    return own | (PAYMENTS.row(payment) if payment else _NO_PAYMENT)


def payment_from(row: Any) -> Payment:  # noqa: ANN401 - as above.
    """What the table says of a payment, from its root's row."""
    return PAYMENTS.value((row[0], *row[6:]))
