"""What the pages of checkout sessions do that keep a card, beside those of sessions that sell.

Raises nothing: what a card said is an answer. No I/O.
"""

from sandbox.stripe.cards import Card
from sandbox.stripe.checkouts import REFUSED
from sandbox.stripe.paying.payments import Paying, Said
from sandbox.stripe.paying.setup_sessions import AnySession, SetupSession, setup_session_object
from sandbox.stripe.paying.setups import UNAUTHENTICATED
from sandbox.stripe.views import Declined

_REFUSED = Declined(REFUSED.message, UNAUTHENTICATED)


class Keeping(Paying):
    """Sessions of either kind are paid, refused and expired; here are those that keep a card."""

    def open_setup_session(self, session: SetupSession) -> None:
        """Open a session; its setup intent is told of at once."""
        self.open_setup(session.setup)
        self.keep(session)

    def pay_checkout(self, session: AnySession, card: Card, *, authenticated: bool) -> Said:
        """Try a card on an open session; None when it is complete then."""
        if isinstance(session, SetupSession):
            return self._keep_card(session, card, authenticated=authenticated)
        return super().pay_checkout(session, card, authenticated=authenticated)

    def debit_checkout(self, session: AnySession, debit: Card) -> Declined | None:
        """Complete a session by a bank account; one that is only kept waits for no bank."""
        if not isinstance(session, SetupSession):
            return super().debit_checkout(session, debit)
        said = self._keep_card(session, debit, authenticated=True)
        return said if isinstance(said, Declined) else None

    def refuse_checkout(self, session: AnySession) -> Declined:
        """Fail the buyer's authentication."""
        if not isinstance(session, SetupSession):
            return super().refuse_checkout(session)
        setup = session.setup
        if setup.method and setup.status == "requires_action":
            self.answer_setup(setup, setup.method, succeeds=False)
        return _REFUSED

    def expire(self, session: AnySession, *, by_stripe: bool) -> None:
        """Close an open session; what was to be kept is given up."""
        if not isinstance(session, SetupSession):
            super().expire(session, by_stripe=by_stripe)
            return
        session.status = "expired"
        self.cancel_setup(session.setup, None, by_stripe=by_stripe)
        drawn = setup_session_object(session)
        self.emit("checkout.session.expired", drawn, session.customer, by_stripe=by_stripe)

    def _keep_card(self, session: SetupSession, card: Card, *, authenticated: bool) -> Said:
        setup, customer = session.setup, session.customer
        if not customer.guest:
            self.announce(customer)
            setup.customer = customer
        # A buyer who left the bank's question open may come with another card.
        if not authenticated or setup.status != "requires_action":
            said = self.confirm_setup(setup, self.add_method(card), absent=False)
            if isinstance(said, Declined) or (said and not authenticated):
                return said
        if setup.method and setup.status == "requires_action":
            self.answer_setup(setup, setup.method, succeeds=True)
        self.step()
        session.status = "complete"
        self.emit("checkout.session.completed", setup_session_object(session), customer)
        return None
