"""Expires a user's other checkout sessions for full plans at Stripe.

A session can be paid for a day, and two plans would both renew. So every other session for a full
plan has certainly ended before the receiver hands out a new one. The request holds the user's
checkout lease.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.checkout import eligibility, purchases
from db.checkout.checkout_lease import CheckoutLease
from db.checkout.purchases import Purchase
from ingest.checkout import backfill
from ingest.checkout.deadline import Deadline
from ingest.context import ReceiverContext
from ingest.http.problems import Problem, ProblemType
from stripe_gateway import StripeGateway, StripeMissing, StripeRefused

SUBSCRIBED = ProblemType(
    409,
    "already_subscribed",
    "There is a subscription to a plan already; change it in the portal: POST"
    " /billing/stripe/customer-portal/.",
    {"portal": "/billing/stripe/customer-portal/"},
)
BUSY = ProblemType(
    503,
    "checkout_busy",
    "Another request or payment of this user is still under way; try again soon.",
)

Session = Mapping[str, Any]


def subscribed() -> Problem:
    """The problem of a user who wants a second plan."""
    return SUBSCRIBED.problem(members=SUBSCRIBED.members)


@dataclass(frozen=True, slots=True)
class OtherSessions:
    """The other open sessions of the user who is served, as one request sees them."""

    context: ReceiverContext
    gateway: StripeGateway
    deadline: Deadline

    def expire_plans(self, lease: CheckoutLease) -> None:
        """End every other session of a full plan that could be paid.

        Raises a 409 where the user has a plan by now or paid one of them, a 503 where one cannot
        be expired yet, and `StripeUnavailable` where Stripe does not say that each has ended.
        """
        with self.context.engine.connect() as connection:
            # Whoever had the lease before may have learned of it while this request waited.
            if eligibility.has_full_plan(connection, lease.user_id):
                raise subscribed()
            others = purchases.other_plans(connection, lease.user_id, but=lease.purchase)
        for other in others:
            if self.expire(other) == "complete":
                raise subscribed()

    def expire(self, purchase: Purchase) -> str:
        """End an open purchase that has a session; says how: expired, complete or lost."""
        try:
            return self.ended(purchase, self._expired(purchase.session_id or ""))
        except StripeMissing:
            return self._end(purchase, "lost")

    def ended(self, purchase: Purchase, session: Session) -> str:
        """Record and backfill a session that Stripe says has ended; says how, as `expire` does."""
        backfill.store(self.context.intake, session, self.gateway.api_version)
        status = session.get("status")
        return self._end(purchase, status if status in ("complete", "expired") else "lost")

    def _expired(self, session_id: str) -> Session:
        try:
            return self.deadline.ask(lambda: self.gateway.expire_checkout_session(session_id))
        except StripeRefused as error:
            # Stripe says no more than that the session is not open.
            session = self.deadline.ask(
                lambda: self.gateway.checkout_session(session_id, expand=backfill.EXPAND)
            )
            if session.get("status") == "open":
                # Somebody may be paying it at this moment.
                raise BUSY.problem() from error
            return session

    def _end(self, purchase: Purchase, state: str) -> str:
        with self.context.engine.begin() as connection:
            purchases.end(connection, purchase.id, state)
        return state
