"""The customer portal: the answer says where a user changes what they pay for.

Only events tell what the user does there.
"""

from typing import Any

from sqlalchemy import Connection

from db.checkout import eligibility
from db.queries import Subscription
from domain.checkout.order import LIVE_STATUSES
from ingest.checkout import redirects, stripe_errors
from ingest.checkout.deadline import Deadline
from ingest.checkout.schemas import PortalBodySchema, PortalSchema
from ingest.checkout.views import guard
from ingest.context import ReceiverContext, current_context
from ingest.http.auth import current_caller
from ingest.http.problems import ProblemType
from ingest.http.routes import Routes
from stripe_gateway import StripeUnavailable

Json = dict[str, Any]

REQUEST_SECONDS = 18.0

NO_CUSTOMER = ProblemType(
    409, "no_stripe_customer", "There is nothing to manage yet: nothing was bought."
)
OTHER_ACCOUNT = ProblemType(
    409,
    "other_stripe_account",
    "What you have was bought at another Stripe account, and the one of today does not know you."
    " It can be managed only there.",
)
NO_SUBSCRIPTION = ProblemType(
    409,
    "no_subscription",
    "There is no subscription to change; one that was bought elsewhere has to be named.",
)
ENDS_ALREADY = ProblemType(
    409,
    "already_canceled",
    "The subscription ends already; open the portal without a flow to keep it.",
)
UNKNOWN_SUBSCRIPTION = ProblemType(
    404, "subscription_not_found", "There is no such subscription of yours."
)

_FLOWS = {
    "cancel": "subscription_cancel",
    "update": "subscription_update",
    "payment_method": "payment_method_update",
}
_OF_SUBSCRIPTION = ("cancel", "update")

routes = Routes("portal", "How users change what they pay for.", prefix="/billing", guard=guard)


@routes.post(
    "/stripe/customer-portal/",
    "createPortalSession",
    PortalSchema,
    body=PortalBodySchema,
    problems=[
        NO_CUSTOMER,
        OTHER_ACCOUNT,
        NO_SUBSCRIPTION,
        ENDS_ALREADY,
        UNKNOWN_SUBSCRIPTION,
        redirects.REFUSED,
        *stripe_errors.PROBLEMS,
    ],
)
def create_portal_session(body: Json) -> Json:
    """Tell where the caller's portal is.

    There invoices, cards and subscriptions are looked after. flow leads straight to one task; it
    returns when that is done.
    """
    context = current_context()
    gateway = context.gateway
    if gateway is None:
        raise stripe_errors.DISABLED.problem()
    params = _params(context, body, redirects.checked(body, "return_url", context.settings))
    try:
        session = Deadline(REQUEST_SECONDS).ask(lambda: gateway.create_portal_session(params))
    except StripeUnavailable as error:
        if error.code == "resource_missing" and error.param == "customer":
            with context.engine.connect() as connection:
                is_elsewhere = eligibility.has_bought(connection, current_caller().user_id)
            raise (OTHER_ACCOUNT if is_elsewhere else NO_CUSTOMER).problem() from error
        raise
    if not isinstance(session.get("url"), str):
        raise stripe_errors.failed()
    return {"url": session["url"], "message": "Portal session created successfully"}


def _params(context: ReceiverContext, body: Json, return_url: str) -> Json:
    """The parameters of the portal session; raises a 404 or 409 without anything to manage."""
    user_id, flow = current_caller().user_id, body["flow"]
    subscription_id: str | None = body["subscription_id"]
    with context.engine.connect() as connection:
        subscription = (
            eligibility.subscription(connection, user_id, subscription_id)
            if subscription_id
            else None
        )
        if subscription_id and subscription is None:
            raise UNKNOWN_SUBSCRIPTION.problem()
        customer_id = eligibility.customer(connection, user_id, subscription_id)
        if customer_id is None:
            raise _without_customer(connection, user_id).problem()
        if not subscription_id:
            subscription = eligibility.live_subscription(connection, user_id, customer_id)
    params: Json = {"customer": customer_id, "return_url": return_url}
    if flow:
        params["flow_data"] = _flow_data(flow, subscription, return_url)
    return params


def _without_customer(connection: Connection, user_id: str) -> ProblemType:
    """Why there is no customer whose portal could be opened."""
    is_elsewhere = eligibility.was_unknown(connection, user_id) and eligibility.has_bought(
        connection, user_id
    )
    return OTHER_ACCOUNT if is_elsewhere else NO_CUSTOMER


def _flow_data(flow: str, subscription: Subscription | None, return_url: str) -> Json:
    """Which task the portal begins with; raises a 409 where Stripe would refuse it."""
    kind = _FLOWS[flow]
    back = {"type": "redirect", "redirect": {"return_url": return_url}}
    task: Json = {"type": kind, "after_completion": back}
    if flow not in _OF_SUBSCRIPTION:
        return task
    if subscription is None or subscription.status not in LIVE_STATUSES:
        raise NO_SUBSCRIPTION.problem()
    if flow == "cancel" and (subscription.cancel_at_period_end or subscription.cancel_at):
        raise ENDS_ALREADY.problem()
    return task | {kind: {"subscription": subscription.id}}
