"""Checkout: a user asks to buy a plan, and the answer says where to pay.

Price and terms come from the catalogue, the buyer from the token.
"""

from typing import Any

from flask import request

from db.checkout import eligibility
from db.checkout.purchases import Keyed
from domain.checkout.order import Order, PlanOnSale, hash_of
from domain.checkout.redirects import with_session_placeholder
from ingest.checkout import redirects, stripe_errors
from ingest.checkout.other_sessions import BUSY, SUBSCRIBED, subscribed
from ingest.checkout.schemas import CheckoutBodySchema, CheckoutSchema
from ingest.checkout.service import KEY_REUSED, OTHER_CURRENCY, CheckoutService
from ingest.context import ReceiverContext, current_context
from ingest.http import inputs
from ingest.http.auth import authenticate_with, current_caller
from ingest.http.problems import ProblemType
from ingest.http.routes import Routes

Json = dict[str, Any]

NO_PLAN = ProblemType(404, "plan_not_found", "There is no such plan of this type on sale.")
NO_CURRENCY = ProblemType(
    422,
    "currency_not_offered",
    "The plan is not sold in this currency; see currencies.",
    {"currencies": ["eur", "usd"]},
)

_authenticate = authenticate_with(lambda: current_context().authenticator)


def guard() -> None:
    """Refuse unauthenticated requests, and every purchase where Stripe is not enabled."""
    _authenticate()
    if request.method == "POST" and current_context().gateway is None:
        raise stripe_errors.DISABLED.problem()


routes = Routes("checkout", "How users buy.", prefix="/billing", guard=guard)


@routes.post(
    "/stripe/checkout-session/",
    "createCheckoutSession",
    CheckoutSchema,
    body=CheckoutBodySchema,
    parameters=[inputs.key_parameter(required=False)],
    problems=[
        inputs.KEY_INVALID,
        NO_PLAN,
        SUBSCRIBED,
        OTHER_CURRENCY,
        KEY_REUSED,
        redirects.REFUSED,
        NO_CURRENCY,
        BUSY,
        *stripe_errors.PROBLEMS,
    ],
)
def create_checkout_session(body: Json) -> Json:
    """Begin a purchase and tell where to pay.

    Asking again for the same thing answers with the same session while it can still be paid, so a
    double click makes one. With an Idempotency-Key the answer stays the same until the session
    expires. Whoever has a plan already changes it in the portal. A session for a full plan ends
    every other one that the caller has open, so that two plans can never be paid.
    """
    context, user_id = current_context(), current_caller().user_id
    if context.gateway is None:
        raise stripe_errors.DISABLED.problem()
    keyed = _keyed(body)
    success_url = redirects.checked(body, "success_url", context.settings)
    cancel_url = redirects.checked(body, "cancel_url", context.settings)
    offer = _offer(context, user_id, body)
    order = Order(
        user_id=user_id,
        offer=offer,
        currency=_currency(context, user_id, offer, body["currency"]),
        success_url=with_session_placeholder(success_url),
        cancel_url=cancel_url,
    )
    purchase = CheckoutService(context, context.gateway, order, keyed).open_session()
    message = "Checkout session created successfully"
    return {"session_id": purchase.session_id, "url": purchase.url, "message": message}


def _keyed(body: Json) -> Keyed | None:
    key = inputs.optional_idempotency_key()
    if key is None:
        return None
    currency = body["currency"] and body["currency"].lower()
    sent = (body["plan_type"], body["plan_id"], currency, body["success_url"], body["cancel_url"])
    return Keyed(key, hash_of(*sent))


def _offer(context: ReceiverContext, user_id: str, body: Json) -> PlanOnSale:
    """The plan; raises a 404 where it is not on offer, a 409 to who has one that excludes it."""
    with context.engine.connect() as connection:
        offer = eligibility.offer(connection, body["plan_type"], body["plan_id"])
        if offer is None:
            raise NO_PLAN.problem()
        if offer.type == "full" and eligibility.has_full_plan(connection, user_id):
            raise subscribed()
    return offer


def _currency(context: ReceiverContext, user_id: str, offer: PlanOnSale, asked: str | None) -> str:
    """The requested currency; else, for a plan that renews, that of the user's subscriptions."""
    usual = context.settings.stripe_currency
    if not asked and offer.interval:
        with context.engine.connect() as connection:
            usual = eligibility.recurring_currency(connection, user_id) or usual
    currency = offer.currency(asked.lower() if asked else None, usual)
    if currency is None:
        raise NO_CURRENCY.problem(members={"currencies": sorted(offer.prices)})
    return currency
