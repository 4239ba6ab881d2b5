"""Balance transactions: the money of charges and refunds as the account's balance shows it."""

from sandbox.simulate.money_records import Charge, Refund
from sandbox.stripe.agenda import Shop
from sandbox.stripe.api.calls import Call, Endpoint, Found, Json
from sandbox.stripe.api.parameters import DATED_PAGE, NOTHING, Group, text
from sandbox.stripe.errors import no_such


def transaction_of(shop: Shop, transaction_id: str) -> Json | None:
    """The balance transaction of an id, drawn; None where no money moved under it."""
    every = transactions(shop)
    return next((one for one in every if one["id"] == transaction_id), None)


def transactions(shop: Shop) -> list[Json]:
    """Every balance transaction, drawn, newest first."""
    moved = [
        *(_of_charge(one) for one in shop.every(Charge) if one.status == "succeeded"),
        *(_of_refund(one) for one in shop.every(Refund)),
    ]
    return sorted(moved, key=lambda one: int(one["created"]), reverse=True)


def _of_charge(charge: Charge) -> Json:
    intent = charge.intent
    return _drawn(charge.id, "charge", intent.amount, intent.currency, charge.created)


def _of_refund(refund: Refund) -> Json:
    currency = refund.charge.intent.currency
    return _drawn(refund.id, "refund", -refund.amount, currency, refund.created)


def _drawn(source: str, kind: str, amount: int, currency: str, created: int) -> Json:
    return {
        "id": f"txn_{source[3:]}",
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created,
        "balance_type": "payments",
        "created": created,
        "currency": currency,
        "description": None,
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": amount,
        "reporting_category": kind,
        "source": source,
        "status": "available",
        "type": kind,
    }


def _transactions(call: Call) -> Found:
    params = call.params
    listed = [
        one
        for one in transactions(call.shop)
        if all(params.get(name) in (None, one[name]) for name in ("currency", "source", "type"))
    ]
    return call.page(
        call.dated(listed, lambda one: int(one["created"])), lambda one: str(one["id"])
    )


def _transaction(call: Call) -> Found:
    transaction = transaction_of(call.shop, call.id)
    if transaction is None:
        raise no_such("balance transaction", call.id, "id")
    return transaction


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/balance_transactions",
        Group({**DATED_PAGE, "currency": text, "source": text, "type": text}),
        _transactions,
    ),
    Endpoint("GET", "/v1/balance_transactions/<id>", NOTHING, _transaction),
)
