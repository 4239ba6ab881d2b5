"""Spends tokens, for programs that act for a user and may debit.

The token names the user, never the body.
"""

from dataclasses import asdict
from typing import Any

from db.checkout import eligibility
from db.ledger import debits
from db.queries import LedgerEntry
from domain.access.unlocking import covering
from domain.errors import KeyReusedError
from ingest.account.schemas import DebitBodySchema, DebitSchema
from ingest.context import current_context
from ingest.http import inputs
from ingest.http.auth import authenticate_with, current_caller
from ingest.http.problems import ProblemType
from ingest.http.routes import Routes

SCOPE = "tokens:debit"

INSUFFICIENT_TOKENS = ProblemType(
    402,
    "insufficient_tokens",
    "The balance is {balance} tokens; {amount} are needed.",
    {
        "balance": 3,
        "amount": 5,
        "missing": 2,
        "buy": [
            {
                "plan_id": 4,
                "name": "Small package",
                "tokens": 1000,
                "interval": None,
                "currency": "usd",
                "amount": 500,
                "checkout": {"plan_type": "token", "plan_id": 4, "currency": "usd"},
            },
            {
                "plan_id": 6,
                "name": "Monthly refill",
                "tokens": 3000,
                "interval": "month",
                "currency": "usd",
                "amount": 1200,
                "checkout": {"plan_type": "token", "plan_id": 6, "currency": "usd"},
            },
        ],
    },
)
KEY_REUSED = ProblemType(
    409,
    "idempotency_key_reused",
    "This Idempotency-Key was used for another amount or reason; take a new one.",
)

routes = Routes(
    "spending",
    "What may be done with a user's tokens.",
    prefix="/billing",
    guard=authenticate_with(lambda: current_context().authenticator),
)


@routes.post(
    "/tokens/debit/",
    "debitTokens",
    DebitSchema,
    body=DebitBodySchema,
    scope=SCOPE,
    statuses={201: "The entry.", 200: "The same entry: it was posted by an earlier request."},
    parameters=[inputs.key_parameter(required=True)],
    problems=(inputs.KEY_MISSING, inputs.KEY_INVALID, INSUFFICIENT_TOKENS, KEY_REUSED),
)
def debit_tokens(body: dict[str, Any]) -> tuple[LedgerEntry, int]:
    """Spend some of the caller's tokens.

    The balance never falls below zero by this. A 402 names, in `buy`, the packages that cover what
    is missing, each with the body for the checkout call. Repeat a request whose answer was lost
    with the same Idempotency-Key: tokens are spent once, and the answer is 200 with the same entry.
    """
    key, amount = inputs.idempotency_key(), body["amount"]
    try:
        with current_context().engine.begin() as connection:
            debited = debits.debit(
                connection,
                current_caller().user_id,
                amount=amount,
                reason=body["reason"],
                idempotency_key=key,
            )
    except KeyReusedError as error:
        raise KEY_REUSED.problem() from error
    except debits.InsufficientTokensError as error:
        raise INSUFFICIENT_TOKENS.problem(members=_short_of(error.balance, amount)) from error
    if debited.is_new:
        current_context().hints.publish([current_caller().user_id])
    return debited.entry, 201 if debited.is_new else 200


def _short_of(balance: int, amount: int) -> dict[str, object]:
    """What a 402 tells besides: how much is missing, and what to buy, cheapest first.

    Packages are priced in what the caller pays in, or, where none covers it in that, in the shop's
    usual currency.
    """
    context, user_id = current_context(), current_caller().user_id
    with context.engine.connect() as connection:
        catalogue = context.catalogue.get(connection)
        own = eligibility.buyer_currency(connection, user_id)
    missing, usual = amount - balance, context.settings.stripe_currency
    packages = covering(missing, catalogue, own or usual) or covering(missing, catalogue, usual)
    buy = [asdict(package) for package in packages]
    return {"balance": balance, "amount": amount, "missing": missing, "buy": buy}
