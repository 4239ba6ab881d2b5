"""Makes one Stripe customer for a user, however many requests ask for it at once."""

from dataclasses import dataclass

from db.checkout import checkout_lease, eligibility
from db.checkout.checkout_lease import CheckoutLease
from domain.checkout.order import customer_key
from domain.json_values import text_of
from ingest.checkout import lost_answers, stripe_errors
from ingest.checkout.deadline import Deadline
from ingest.context import ReceiverContext
from stripe_gateway import (
    Json,
    StripeGateway,
    StripeMissing,
    StripeRefused,
    StripeUnavailable,
)


@dataclass(frozen=True, slots=True)
class Customers:
    """The Stripe customers of users, as one request sees them."""

    context: ReceiverContext
    gateway: StripeGateway
    deadline: Deadline

    def of_user(self, lease: CheckoutLease) -> str:
        """The id of the user's Stripe customer, made where there is none.

        Raises a 502 where Stripe answers with no customer, and `StripeUnavailable`.
        """
        with self.context.engine.connect() as connection:
            existing_id = eligibility.customer(connection, lease.user_id)
            attempt = checkout_lease.attempt(connection, lease)
        if existing_id:
            return existing_id
        customer_id = text_of(self._make(lease, attempt).get("id"))
        if customer_id is None:
            raise stripe_errors.failed()
        with self.context.engine.begin() as connection:
            checkout_lease.keep_customer(connection, lease, customer_id)
        return customer_id

    def _make(self, lease: CheckoutLease, attempt: int) -> Json:
        key = customer_key(lease.user_id, attempt)
        try:
            return self.deadline.ask(
                lambda: self.gateway.create_customer(lease.user_id, idempotency_key=key)
            )
        except StripeUnavailable as error:
            return self._after_error(lease, error)

    def _after_error(self, lease: CheckoutLease, error: StripeUnavailable) -> Json:
        """The customer that was made in spite of an error; else the next request uses a new key."""
        is_refused = isinstance(error, (StripeRefused, StripeMissing))
        if not (is_refused or lost_answers.is_repeated(error)):
            raise error
        customer = (
            None
            if is_refused
            else lost_answers.find_customer(self.gateway, self.deadline, lease.user_id)
        )
        if customer is None:
            with self.context.engine.begin() as connection:
                checkout_lease.next_attempt(connection, lease)
            raise error
        return customer
