"""What users may see of their own: plans, subscriptions, payments, tokens, ledger.

The token alone decides whose rows are shown; no address names a user.
"""

from typing import Any

from db import queries
from ingest.account.schemas import (
    BalanceSchema,
    LedgerSchema,
    PaymentsSchema,
    PlansQuerySchema,
    PlansSchema,
    SubscriptionsSchema,
)
from ingest.context import current_context
from ingest.http.auth import authenticate_with, current_caller
from ingest.http.pagination import (
    number_cursor,
    number_position,
    page,
    timed_cursor,
    timed_position,
)
from ingest.http.routes import Routes
from ingest.http.schemas import PageQuerySchema

Json = dict[str, Any]

routes = Routes(
    "account",
    "What a user may see.",
    prefix="/billing",
    guard=authenticate_with(lambda: current_context().authenticator),
)


@routes.get("/plans/full/", "listFullPlans", PlansSchema, query=PlansQuerySchema)
def full_plans(query: Json) -> Json:
    """List the plans on sale.

    Ordered by id. A plan renews and brings its tokens with every paid period.
    """
    return _plans("full", query)


@routes.get("/plans/token/", "listTokenPackages", PlansSchema, query=PlansQuerySchema)
def token_plans(query: Json) -> Json:
    """List the token packages on sale.

    Ordered by id. A package brings its tokens once for each purchase or, where it renews, with
    every paid period.
    """
    return _plans("token", query)


@routes.get("/subscriptions/", "listSubscriptions", SubscriptionsSchema, query=PageQuerySchema)
def subscriptions(query: Json) -> Json:
    """List the caller's subscriptions, newest first.

    Those that ended are listed too; `is_active` tells them apart.
    """
    after = timed_position("subscriptions", query["cursor"])
    with current_context().engine.connect() as connection:
        rows = queries.subscriptions(connection, _user(), limit=query["limit"] + 1, after=after)
    return page(rows, query["limit"], lambda row: timed_cursor("subscriptions", row.position))


@routes.get("/payments/", "listPayments", PaymentsSchema, query=PageQuerySchema)
def payments(query: Json) -> Json:
    """List the caller's payments, newest first.

    Invoices and completed one-time purchases, each once. `tokens` follows the money: a refund or
    dispute lowers it.
    """
    after = timed_position("payments", query["cursor"])
    with current_context().engine.connect() as connection:
        rows = queries.payments(connection, _user(), limit=query["limit"] + 1, after=after)
    return page(rows, query["limit"], lambda row: timed_cursor("payments", row.position))


@routes.get("/tokens/", "getBalance", BalanceSchema)
def tokens() -> queries.Balance:
    """Show the caller's token balance.

    It is the sum of the entries of the ledger.
    """
    with current_context().engine.connect() as connection:
        return queries.balance(connection, _user())


@routes.get("/tokens/ledger/", "listLedger", LedgerSchema, query=PageQuerySchema)
def ledger(query: Json) -> Json:
    """List the entries behind the caller's balance, newest first.

    Entries are never changed: what has to be set right is set right by a further entry.
    """
    before = number_position("ledger", query["cursor"])
    with current_context().engine.connect() as connection:
        rows = queries.ledger(connection, _user(), limit=query["limit"] + 1, before=before)
    return page(rows, query["limit"], lambda row: number_cursor("ledger", row.id))


def _plans(plan_type: str, query: Json) -> Json:
    name = f"plans.{plan_type}"
    after = number_position(name, query["cursor"])
    wished = (query["currency"].lower(),) if query["currency"] else ()
    currencies = (*wished, current_context().settings.stripe_currency)
    with current_context().engine.connect() as connection:
        rows = queries.plans(
            connection, plan_type, currencies, limit=query["limit"] + 1, after=after
        )
    return page(rows, query["limit"], lambda row: number_cursor(name, row.id))


def _user() -> str:
    return current_caller().user_id
