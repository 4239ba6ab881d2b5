"""Sells: makes one Stripe customer for a user and one checkout session for an order.

However many requests ask at once, one of them asks Stripe. Whatever is asked for is written down
before, with its idempotency key, so that asking again after silence makes nothing twice. Nothing
is asked while a transaction is open.
"""

import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import telemetry
from db.checkout import eligibility, purchases, trials
from db.checkout.purchases import (
    CheckoutLease,
    CheckoutLeaseLostError,
    Keyed,
    KeyReusedError,
    Purchase,
)
from domain.checkout.order import Order, Terms, customer_key, session_key, session_params
from domain.json_values import mapping_of, text_of
from ingest.checkout import backfill, stripe_errors
from ingest.checkout.deadline import Deadline
from ingest.checkout.other_sessions import BUSY, OtherSessions, subscribed
from ingest.context import ReceiverContext
from ingest.http.problems import Problem
from ingest.http.refusals import Refusal
from stripe_gateway import (
    Json,
    StripeGateway,
    StripeKeyRefused,
    StripeMissing,
    StripeRefused,
    StripeUnavailable,
)

# A frontend waits no longer than 20 s, and a claim lasts longer than this.
REQUEST_SECONDS = 18.0
# Whoever waits for another's answer keeps enough time to ask by themselves.
WAIT_SECONDS = 11.0
POLL_SECONDS = 0.05

KEY_REUSED = Refusal(
    409, "idempotency_key_reused", "This Idempotency-Key was used for another purchase."
)
OTHER_CURRENCY = Refusal(
    409,
    "other_currency",
    "There is a subscription in another currency, see currency; Stripe takes no second one.",
    {"currency": "eur"},
)

# After one of these nothing was made, and asking the same again will not help.
_DEFINITE = (StripeRefused, StripeMissing, StripeKeyRefused)

_log = telemetry.get_logger("ingest.checkout.service")


class Sale:
    """One request's way to a checkout session."""

    def __init__(
        self, context: ReceiverContext, gateway: StripeGateway, order: Order, keyed: Keyed | None
    ) -> None:
        self._context = context
        self._gateway = gateway
        self._order = order
        self._keyed = keyed
        self._deadline = Deadline(REQUEST_SECONDS)
        self._other_sessions = OtherSessions(context, gateway, self._deadline)
        # How the next purchase is asked for, after Stripe refused the one before.
        self._has_forgotten = False
        self._spells_price_out = False

    def close(self) -> Purchase:
        """The purchase with its open session; raises a `Problem` or `StripeUnavailable`."""
        found = self._enter()
        while found is None:
            if self._deadline.remaining_seconds < REQUEST_SECONDS - WAIT_SECONDS:
                raise Problem.unavailable(BUSY.code, BUSY.detail)
            time.sleep(POLL_SECONDS)
            found = self._enter()
        if isinstance(found, Purchase):
            return found
        try:
            return self._use_lease(found)
        except CheckoutLeaseLostError as error:
            raise Problem.unavailable(BUSY.code, BUSY.detail) from error
        finally:
            with self._context.engine.begin() as connection:
                purchases.leave(connection, found)

    def _enter(self) -> Purchase | CheckoutLease | None:
        order = self._order
        try:
            with self._context.engine.begin() as connection:
                return purchases.enter(connection, order.user_id, order.fingerprint, self._keyed)
        except KeyReusedError as error:
            raise KEY_REUSED.problem() from error

    def _use_lease(self, lease: CheckoutLease) -> Purchase:
        if self._order.offer.type == "full":
            self._other_sessions.expire_plans(lease)
        known = self._with_trial_still_due(lease.purchase)
        if known and known.session_id:
            found = self._if_still_good(lease, known, known.session_id)
        else:
            found = self._make(lease, known, again=True) if known else None
        while found is None:
            found = self._make(lease, self._begin(lease), again=False)
        return found

    def _with_trial_still_due(self, known: Purchase | None) -> Purchase | None:
        """The purchase to go on with, but none with a trial that the user had meanwhile."""
        if known is None or not known.has_trial:
            return known
        with self._context.engine.connect() as connection:
            if not trials.had(connection, self._order.user_id, self._tried):
                return known
        if known.session_id:
            return known if self._other_sessions.expire(known) == "complete" else None
        self._end(known, "lost")
        return None

    @property
    def _tried(self) -> int | None:
        """Which plan a user tries once; None where they try one plan of all."""
        is_each = self._context.settings.trials == "per_plan"
        return self._order.offer.plan_id if is_each else None

    def _if_still_good(
        self, lease: CheckoutLease, known: Purchase, session_id: str
    ) -> Purchase | None:
        """A purchase whose session can still be paid, or was paid by a repeat of this request."""
        try:
            session = self._deadline.ask(
                lambda: self._gateway.checkout_session(session_id, expand=backfill.EXPAND)
            )
        except StripeMissing:
            self._end(known, "lost")
            return None
        if session.get("status") == "open":
            with self._context.engine.begin() as connection:
                purchases.still_open(connection, known.id)
            return known
        state = self._other_sessions.ended(known, session)
        if state == "complete" and self._order.offer.type == "full":
            raise subscribed()
        return known if state == "complete" and lease.is_repeat else None

    def _begin(self, lease: CheckoutLease) -> Purchase:
        """A new purchase, written down."""
        order, purchase_id = self._order, uuid.uuid4().hex
        customer_id = self._customer(lease)
        price_id = order.offer.price_ids.get(order.currency)
        with self._context.engine.begin() as connection:
            terms = Terms(
                purchase_id=purchase_id,
                customer_id=customer_id,
                price_id=None if self._spells_price_out else price_id,
                has_trial=order.offer.trial_days > 0
                and not eligibility.had_plan(connection, order.user_id, order.offer.plan_id)
                and not trials.had_or_open(connection, order.user_id, self._tried),
            )
            params = session_params(order, terms)
            return purchases.begin(
                connection, lease, order, self._keyed, purchase_id=purchase_id, params=params
            )

    def _make(self, lease: CheckoutLease, purchase: Purchase, *, again: bool) -> Purchase | None:
        """The purchase with its session; None when Stripe refused and another may do better.

        `again` says that Stripe was asked for it before, so that an error may be a stored one.
        """
        key = session_key(purchase.id)
        try:
            session = self._deadline.ask(
                lambda: self._gateway.create_checkout_session(purchase.params, idempotency_key=key)
            )
        except StripeUnavailable as error:
            if again and _is_stored(error):
                return self._found(lease, purchase)
            if isinstance(error, _DEFINITE):
                self._end(purchase, "refused")
                if self._mend(lease, purchase, error):
                    return None
                self._refuse_second_currency(error)
            raise
        return self._record(lease, purchase, session)

    def _found(self, lease: CheckoutLease, purchase: Purchase) -> Purchase | None:
        """The session that an error hid, if there is one; else the purchase is given up."""
        sessions = self._deadline.ask(
            lambda: self._gateway.checkout_sessions_of(purchase.customer_id)
        )
        for session in sessions:
            if _names(session, "purchase_id", purchase.id) and session.get("status") == "open":
                return self._record(lease, purchase, session)
        self._end(purchase, "lost")
        return None

    def _record(
        self, lease: CheckoutLease, purchase: Purchase, session: Mapping[str, Any]
    ) -> Purchase:
        if not (text_of(session.get("id")) and text_of(session.get("url"))):
            raise stripe_errors.failed()
        with self._context.engine.begin() as connection:
            return purchases.record(connection, lease, purchase.id, session)

    def _end(self, purchase: Purchase, state: str) -> None:
        with self._context.engine.begin() as connection:
            purchases.end(connection, purchase.id, state)

    def _mend(self, lease: CheckoutLease, purchase: Purchase, error: StripeUnavailable) -> bool:
        """Whether Stripe may take the order in another form; each form is tried once."""
        is_missing = error.code == "resource_missing"
        if is_missing and error.param == "customer" and not self._has_forgotten:
            _log.warning("stripe does not know the customer", customer=purchase.customer_id)
            self._has_forgotten = True
            with self._context.engine.begin() as connection:
                purchases.next_attempt(connection, lease, purchase.customer_id)
            return True
        line = purchase.params["line_items"][0]
        of_price = "price" in line and (error.param or "").startswith("line_items")
        if of_price and not self._spells_price_out:
            _log.warning("stripe refuses the price, spelling it out", price=line["price"])
            self._spells_price_out = True
            return True
        return False

    def _refuse_second_currency(self, error: StripeUnavailable) -> None:
        """Raise a 409 where that must be why Stripe refused, which it says in words only."""
        if self._order.mode == "subscription":
            with self._context.engine.connect() as connection:
                currency = eligibility.recurring_currency(connection, self._order.user_id)
            if currency not in (None, self._order.currency):
                raise OTHER_CURRENCY.problem(members={"currency": currency}) from error

    def _customer(self, lease: CheckoutLease) -> str:
        """The user's Stripe customer, made where there is none."""
        with self._context.engine.connect() as connection:
            known = eligibility.customer(connection, lease.user_id)
            attempt = purchases.attempt(connection, lease)
        if known:
            return known
        key = customer_key(lease.user_id, attempt)
        made: Json
        try:
            made = self._deadline.ask(
                lambda: self._gateway.create_customer(lease.user_id, idempotency_key=key)
            )
        except StripeUnavailable as error:
            made = self._after_failed_customer(lease, error)
        customer_id = text_of(made.get("id"))
        if customer_id is None:
            raise stripe_errors.failed()
        with self._context.engine.begin() as connection:
            purchases.keep_customer(connection, lease, customer_id)
        return customer_id

    def _after_failed_customer(self, lease: CheckoutLease, error: StripeUnavailable) -> Json:
        """The customer that was made in spite of an error; else the next click uses a new key."""
        is_refused = isinstance(error, (StripeRefused, StripeMissing))
        if not (is_refused or _is_stored(error)):
            raise error
        hidden = None if is_refused else self._hidden_customer(lease.user_id)
        if hidden is None:
            with self._context.engine.begin() as connection:
                purchases.next_attempt(connection, lease)
            raise error
        return hidden

    def _hidden_customer(self, user_id: str) -> Json | None:
        found = self._deadline.ask(self._gateway.newest_customers)
        with suppress(StripeRefused, StripeMissing):  # Some accounts cannot search.
            found += self._deadline.ask(lambda: self._gateway.customers_of(user_id))
        own = (
            each for each in found if _names(each, "user_id", user_id) and not each.get("deleted")
        )
        return next(own, None)


def _is_stored(error: StripeUnavailable) -> bool:
    """Whether Stripe failed in a way that it repeats for the same idempotency key."""
    return error.status is not None and error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _names(found: Mapping[str, Any], key: str, value: str) -> bool:
    return mapping_of(found.get("metadata")).get(key) == value
