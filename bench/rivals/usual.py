"""One event in one transaction, a statement at a time: how such a handler is usually written.

The same tables as the product's, by SQLAlchemy. An event is inserted, its object upserted, and
tokens are granted for what is paid. Reversals, proration and the order of events are left out,
which makes it faster than it would be if it were right.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, select
from sqlalchemy.dialects.postgresql import insert

from db import tables

Json = dict[str, Any]


def apply(engine: Engine, event: Json, body: bytes) -> None:
    """Keep the event and its effect; nothing the second time."""
    with engine.begin() as connection:
        if _is_new(connection, event, body):
            handle = _HANDLERS.get(event["type"].rpartition(".")[0])
            if handle:
                handle(connection, event, event["data"]["object"])


def _is_new(connection: Connection, event: Json, body: bytes) -> bool:
    row = {
        "id": event["id"],
        "type": event["type"],
        "created_at": datetime.fromtimestamp(event["created"], UTC),
        "status": "applied",
        "body": body,
        "source": "webhook",
        "applied_at": datetime.now(UTC),
    }
    events = tables.webhook_events
    statement = insert(events).values(row).on_conflict_do_nothing().returning(events.c.id)
    return connection.execute(statement).first() is not None


def _upsert(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    changed = {name: value for name, value in row.items() if name != "id"}
    statement = (
        insert(table).values(**row).on_conflict_do_update(index_elements=["id"], set_=changed)
    )
    connection.execute(statement)


def _on_customer(connection: Connection, event: Json, customer: Json) -> None:
    user_id = (customer.get("metadata") or {}).get("user_id")
    if user_id:
        _link(connection, event, customer["id"], user_id)


def _link(connection: Connection, event: Json, customer_id: str, user_id: str) -> None:
    claim = {"claimed_created": event["created"], "claimed_event_id": event["id"]}
    _upsert(
        connection,
        tables.customers,
        {"id": customer_id, "user_id": user_id, "other_user_ids": []} | claim,
    )


def _owner(connection: Connection, customer_id: str | None) -> str | None:
    customers = tables.customers
    query = select(customers.c.user_id).where(customers.c.id == customer_id)
    return connection.execute(query).scalar()


def _on_session(connection: Connection, event: Json, session: Json) -> None:
    user_id = session.get("client_reference_id") or session["metadata"].get("user_id")
    if session.get("customer") and user_id:
        _link(connection, event, session["customer"], user_id)
    is_paid = session.get("payment_status") == "paid"
    amount = session.get("amount_total") or 0
    status = "paid" if is_paid else "pending"
    _save_payment(connection, session, "session", user_id=user_id, status=status, amount=amount)
    plan_id = session["metadata"].get("plan_id")
    if user_id and plan_id and is_paid and session.get("mode") == "payment":
        plans = tables.plans
        query = select(plans.c.tokens).where(plans.c.id == int(plan_id), plans.c.is_current)
        _grant(connection, event, session["id"], user_id, connection.execute(query).scalar() or 0)


def _on_subscription(connection: Connection, _event: Json, subscription: Json) -> None:
    user_id = subscription["metadata"].get("user_id")
    row = {
        "id": subscription["id"],
        "customer_id": subscription["customer"],
        "user_id": user_id or _owner(connection, subscription["customer"]),
        "status": subscription["status"],
        "items": [item["id"] for item in subscription["items"]["data"]],
        "cancel_at_period_end": subscription["cancel_at_period_end"],
    }
    _upsert(connection, tables.subscriptions, row)


def _on_invoice(connection: Connection, event: Json, invoice: Json) -> None:
    user_id = _owner(connection, invoice.get("customer"))
    is_paid = invoice["status"] == "paid"
    status = "paid" if is_paid else "failed"
    amount = invoice["amount_paid"]
    _save_payment(connection, invoice, "invoice", user_id=user_id, status=status, amount=amount)
    if user_id and is_paid:
        prices = [price for line in invoice["lines"]["data"] if (price := _price_of(line))]
        sold, plans = tables.stripe_prices, tables.plans
        query = select(plans.c.tokens).join(sold, sold.c.plan_id == plans.c.id)
        found = connection.execute(query.where(sold.c.id.in_(prices), plans.c.is_current)).scalars()
        _grant(connection, event, invoice["id"], user_id, sum(found))


def _price_of(line: Json) -> str | None:
    """The price of an invoice line, before and after Stripe moved it."""
    details = (line.get("pricing") or {}).get("price_details") or {}
    price = details.get("price") or line.get("price")
    return price.get("id") if isinstance(price, dict) else price


def _on_intent(connection: Connection, _event: Json, intent: Json) -> None:
    user_id = _owner(connection, intent.get("customer"))
    status = "paid" if intent["status"] == "succeeded" else "failed"
    amount = intent["amount"]
    _save_payment(connection, intent, "intent", user_id=user_id, status=status, amount=amount)


def _on_charge(connection: Connection, _event: Json, charge: Json) -> None:
    user_id = _owner(connection, charge.get("customer"))
    amount = charge["amount"]
    _save_payment(connection, charge, "charge", user_id=user_id, status="refunded", amount=amount)


def _on_refund(connection: Connection, _event: Json, refund: Json) -> None:
    row = {
        "id": refund["id"],
        "target_id": refund.get("payment_intent") or refund["charge"],
        "status": refund["status"],
        "amount_minor": refund["amount"],
    }
    _upsert(connection, tables.refunds, row)


def _on_dispute(connection: Connection, event: Json, dispute: Json) -> None:
    row = {
        "id": dispute["id"],
        "target_id": dispute["charge"],
        "status": dispute["status"],
        "status_created": event["created"],
        "amount_minor": dispute["amount"],
        "funds": "withdrawn",
        "funds_created": event["created"],
    }
    _upsert(connection, tables.disputes, row)


def _save_payment(
    connection: Connection, thing: Json, kind: str, *, user_id: str | None, status: str, amount: int
) -> None:
    row = {
        "id": thing["id"],
        "kind": kind,
        "root_id": thing["id"],
        "customer_id": thing.get("customer"),
        "facts": {"status": thing.get("status")},
        "listed": kind in ("invoice", "session"),
        "user_id": user_id,
        "status": status,
        "currency": thing.get("currency"),
        "amount_minor": amount,
        "created_at": datetime.fromtimestamp(thing["created"], UTC),
    }
    _upsert(connection, tables.payments, row)


def _grant(connection: Connection, event: Json, payment_id: str, user_id: str, tokens: int) -> None:
    """Move the balance and write the entry, unless this payment has one."""
    entries, accounts = tables.ledger_entries, tables.token_accounts
    known = select(entries.c.id).where(entries.c.payment_id == payment_id).limit(1)
    if tokens <= 0 or connection.execute(known).first():
        return
    account = select(accounts.c.balance).where(accounts.c.user_id == user_id).with_for_update()
    balance = (connection.execute(account).scalar() or 0) + tokens
    moved = insert(accounts).values(user_id=user_id, balance=balance)
    connection.execute(
        moved.on_conflict_do_update(index_elements=["user_id"], set_={"balance": balance})
    )
    entry = {
        "user_id": user_id,
        "delta": tokens,
        "kind": "grant",
        "balance_after": balance,
        "payment_id": payment_id,
        "event_id": event["id"],
        "reason": event["type"],
    }
    connection.execute(insert(entries).values(**entry))


_HANDLERS: Mapping[str, Callable[[Connection, Json, Json], None]] = {
    "customer": _on_customer,
    "checkout.session": _on_session,
    "customer.subscription": _on_subscription,
    "invoice": _on_invoice,
    "payment_intent": _on_intent,
    "charge": _on_charge,
    "charge.refund": _on_refund,
    "refund": _on_refund,
    "charge.dispute": _on_dispute,
}
