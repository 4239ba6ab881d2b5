"""The checkout service: makes one checkout session at Stripe for an order.

Of many requests at once, one asks Stripe. It first writes down what it asks for, with the
idempotency key, so that asking again after silence makes nothing twice. No transaction is open
while it asks.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import telemetry
from db.checkout import checkout_lease, eligibility, purchases, trials
from db.checkout.checkout_lease import CheckoutLease, CheckoutLeaseLostError
from db.checkout.purchases import Keyed, Purchase
from domain.checkout.order import Order, Terms, session_key, session_params
from domain.errors import KeyReusedError
from domain.json_values import text_of
from ingest.checkout import backfill, lost_answers, stripe_errors
from ingest.checkout.customers import Customers
from ingest.checkout.deadline import Deadline
from ingest.checkout.other_sessions import BUSY, OtherSessions, subscribed
from ingest.context import ReceiverContext
from ingest.http.problems import ProblemType
from stripe_gateway import (
    StripeGateway,
    StripeKeyRefused,
    StripeMissing,
    StripeRefused,
    StripeUnavailable,
)

# A frontend waits no longer than 20 s, and a checkout lease lasts longer than this.
REQUEST_SECONDS = 18.0
# A request that waits for another one's answer keeps enough time to ask Stripe itself.
WAIT_SECONDS = 11.0
POLL_SECONDS = 0.05

KEY_REUSED = ProblemType(
    409, "idempotency_key_reused", "This Idempotency-Key was used for another purchase."
)
OTHER_CURRENCY = ProblemType(
    409,
    "other_currency",
    "There is a subscription in another currency, see currency; Stripe takes no second one.",
    {"currency": "eur"},
)

# After one of these errors Stripe made nothing, and the same request would fail again.
_DEFINITE = (StripeRefused, StripeMissing, StripeKeyRefused)

_log = telemetry.get_logger("ingest.checkout.service")


class Remedy(Enum):
    """What may make Stripe take an order that it refused; each is tried once."""

    ANOTHER_CUSTOMER = "another customer"
    PRICE_SPELLED_OUT = "price spelled out"


@dataclass(frozen=True, slots=True)
class NewPurchase:
    """What an order needs where no earlier purchase serves it: a new one, with these remedies."""

    remedies: frozenset[Remedy] = frozenset()


class CheckoutService:
    """Serves one request for a checkout session."""

    def __init__(
        self, context: ReceiverContext, gateway: StripeGateway, order: Order, keyed: Keyed | None
    ) -> None:
        self._engine = context.engine
        self._trials = context.settings.trials
        self._gateway = gateway
        self._order = order
        self._keyed = keyed
        self._deadline = Deadline(REQUEST_SECONDS)
        self._other_sessions = OtherSessions(context, gateway, self._deadline)
        self._customers = Customers(context, gateway, self._deadline)

    def open_session(self) -> Purchase:
        """The purchase with its open session; raises a `Problem` or `StripeUnavailable`."""
        entered = self._enter()
        while entered is None:
            if self._deadline.remaining_seconds < REQUEST_SECONDS - WAIT_SECONDS:
                raise BUSY.problem()
            time.sleep(POLL_SECONDS)
            entered = self._enter()
        if isinstance(entered, Purchase):
            return entered
        try:
            return self._use_lease(entered)
        except CheckoutLeaseLostError as error:
            raise BUSY.problem() from error
        finally:
            with self._engine.begin() as connection:
                checkout_lease.release(connection, entered)

    def _enter(self) -> Purchase | CheckoutLease | None:
        order = self._order
        try:
            with self._engine.begin() as connection:
                return checkout_lease.acquire(
                    connection, order.user_id, order.fingerprint, self._keyed
                )
        except KeyReusedError as error:
            raise KEY_REUSED.problem() from error

    def _use_lease(self, lease: CheckoutLease) -> Purchase:
        if self._order.offer.type == "full":
            self._other_sessions.expire_plans(lease)
        purchase = self._without_spent_trial(lease.purchase) if lease.purchase else None
        answer = self._resume(lease, purchase) if purchase else NewPurchase()
        while isinstance(answer, NewPurchase):
            begun = self._begin(lease, answer.remedies)
            answer = self._ask(lease, begun, answer.remedies)
        return answer

    def _without_spent_trial(self, purchase: Purchase) -> Purchase | None:
        """The purchase to go on with; none where its trial is one that the user had meanwhile."""
        if not purchase.has_trial:
            return purchase
        with self._engine.connect() as connection:
            if not trials.had(connection, self._order.user_id, self._trial_plan_id):
                return purchase
        if purchase.session_id:
            is_paid = self._other_sessions.expire(purchase) == "complete"
            return purchase if is_paid else None
        self._end(purchase, "lost")
        return None

    @property
    def _trial_plan_id(self) -> int | None:
        """Which plan a user tries once; None where they try one plan of all."""
        return self._order.offer.plan_id if self._trials == "per_plan" else None

    def _resume(self, lease: CheckoutLease, purchase: Purchase) -> Purchase | NewPurchase:
        """What becomes of a purchase that an earlier request began."""
        if purchase.session_id:
            return self._check_session(lease, purchase, purchase.session_id)
        try:
            return self._ask(lease, purchase, frozenset())
        except StripeUnavailable as error:
            if not lost_answers.is_repeated(error):
                raise
        session = lost_answers.find_session(self._gateway, self._deadline, purchase)
        if session:
            return self._record(lease, purchase, session)
        self._end(purchase, "lost")
        return NewPurchase()

    def _check_session(
        self, lease: CheckoutLease, purchase: Purchase, session_id: str
    ) -> Purchase | NewPurchase:
        """The purchase where its session can still be paid, or was paid by a repeat of a key."""
        try:
            session = self._deadline.ask(
                lambda: self._gateway.checkout_session(session_id, expand=backfill.EXPAND)
            )
        except StripeMissing:
            self._end(purchase, "lost")
            return NewPurchase()
        if session.get("status") == "open":
            with self._engine.begin() as connection:
                purchases.still_open(connection, purchase.id)
            return purchase
        if self._other_sessions.ended(purchase, session) != "complete":
            return NewPurchase()
        if self._order.offer.type == "full":
            raise subscribed()
        return purchase if lease.is_repeat else NewPurchase()

    def _begin(self, lease: CheckoutLease, remedies: frozenset[Remedy]) -> Purchase:
        """A new purchase, written down."""
        order, purchase_id = self._order, uuid.uuid4().hex
        customer_id = self._customers.of_user(lease)
        price_id = order.offer.price_ids.get(order.currency)
        with self._engine.begin() as connection:
            terms = Terms(
                purchase_id=purchase_id,
                customer_id=customer_id,
                price_id=None if Remedy.PRICE_SPELLED_OUT in remedies else price_id,
                has_trial=order.offer.trial_days > 0
                and not eligibility.had_plan(connection, order.user_id, order.offer.plan_id)
                and not trials.had_or_open(connection, order.user_id, self._trial_plan_id),
            )
            params = session_params(order, terms)
            return checkout_lease.begin(
                connection, lease, order, self._keyed, purchase_id=purchase_id, params=params
            )

    def _ask(
        self, lease: CheckoutLease, purchase: Purchase, tried: frozenset[Remedy]
    ) -> Purchase | NewPurchase:
        """The purchase with the session that Stripe makes; a new one where Stripe refuses this."""
        key = session_key(purchase.id)
        try:
            session = self._deadline.ask(
                lambda: self._gateway.create_checkout_session(purchase.params, idempotency_key=key)
            )
        except _DEFINITE as error:
            self._end(purchase, "refused")
            remedy = remedy_for(purchase, error)
            if remedy is None or remedy in tried:
                self._refuse_second_currency(error)
                raise
            self._prepare(lease, purchase, remedy)
            return NewPurchase(tried | {remedy})
        return self._record(lease, purchase, session)

    def _prepare(self, lease: CheckoutLease, purchase: Purchase, remedy: Remedy) -> None:
        _log.warning(
            "stripe refuses an order, asking in another form",
            remedy=remedy.value,
            customer=purchase.customer_id,
            price=purchase.params["line_items"][0].get("price"),
        )
        if remedy is Remedy.ANOTHER_CUSTOMER:
            with self._engine.begin() as connection:
                checkout_lease.next_attempt(connection, lease, purchase.customer_id)

    def _record(
        self, lease: CheckoutLease, purchase: Purchase, session: Mapping[str, Any]
    ) -> Purchase:
        if not (text_of(session.get("id")) and text_of(session.get("url"))):
            raise stripe_errors.failed()
        with self._engine.begin() as connection:
            return checkout_lease.record(connection, lease, purchase.id, session)

    def _end(self, purchase: Purchase, state: str) -> None:
        with self._engine.begin() as connection:
            purchases.end(connection, purchase.id, state)

    def _refuse_second_currency(self, error: StripeUnavailable) -> None:
        """Raise a 409 where that must be why Stripe refused, which it says in words only."""
        if self._order.mode == "subscription":
            with self._engine.connect() as connection:
                currency = eligibility.recurring_currency(connection, self._order.user_id)
            if currency not in (None, self._order.currency):
                raise OTHER_CURRENCY.problem(members={"currency": currency}) from error


def remedy_for(purchase: Purchase, error: StripeUnavailable) -> Remedy | None:
    """What may help where Stripe refused a purchase with this error."""
    if error.code == "resource_missing" and error.param == "customer":
        return Remedy.ANOTHER_CUSTOMER
    names_price = "price" in purchase.params["line_items"][0]
    if names_price and (error.param or "").startswith("line_items"):
        return Remedy.PRICE_SPELLED_OUT
    return None
