"""Sales made outside our checkout: Payment Links, baskets, and sessions that say odd things.

The session is all that Stripe sends of them: a link has no metadata but its own, its line items
are never in an event, and who buys is only what the link's address says. No I/O.
"""

from collections.abc import Sequence

from sandbox.simulate.contract_records import Customer, Price
from sandbox.simulate.objects import customer_object
from sandbox.simulate.packages import Packages
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Pick, Session

# Where Stripe sends the buyer of a Payment Link.
_LINK_URL = "https://stripe.com"


class Links(Packages):
    """Selling through Payment Links, and through sessions that are not what they say."""

    def link_session(
        self,
        customer: Customer,
        basket: Sequence[tuple[Plan, int]],
        *,
        reference: str | None = None,
        names: Plan | None = None,
        invoicing: bool = False,
        method: str = "card",
    ) -> Session:
        """Open a Payment Link's session over some packages and their quantities.

        `reference` is the user that the link's address names; `names` is the plan in the link's
        metadata, which Stripe copies to the session.
        """
        picks = tuple(
            Pick(self.price(plan, customer.currency), quantity, self.new_id("li"))
            for plan, quantity in basket
        )
        subtotal = sum(pick.amount for pick in picks)
        return Session(
            id=self.new_id("cs_test", 58),
            customer=customer,
            mode="payment",
            price=picks[0].price,
            quantity=picks[0].quantity,
            created=self.now,
            metadata={"plan_id": str(names.id)} if names else {},
            amount_subtotal=subtotal,
            amount_total=subtotal,
            reference=reference,
            success_url=_LINK_URL,
            cancel_url=_LINK_URL,
            method_type=method,
            invoicing=invoicing,
            payment_link=self.new_id("plink"),
            basket=picks,
            names=names,
        )

    def odd_session(
        self, customer: Customer, plan: Plan, unit_minor: int, *, currency: str = ""
    ) -> Session:
        """Open a session of our own that names a plan and costs something else."""
        session = self.open_session(customer, plan)
        session.price = Price(
            id=self.new_id("price"),
            plan=plan,
            currency=currency or session.price.currency,
            unit_minor=unit_minor,
            known=False,
            created=self.now,
        )
        session.amount_subtotal = session.amount_total = unit_minor
        return session

    def reduce(self, session: Session, *, percent: int = 0, tax_percent: int = 0) -> Session:
        """Take a promotion code off a session, and put tax on what is left."""
        discount = session.amount_subtotal * percent // 100
        session.percent_off = percent
        session.promotion_codes = True
        session.promotion_code = self.new_id("promo") if percent else None
        session.tax = (session.amount_subtotal - discount) * tax_percent // 100
        session.amount_total = session.amount_subtotal - discount + session.tax
        return session

    def sell(self, session: Session) -> Session:
        """Sell a one-time session by card, or for nothing; returns it completed."""
        self._arrive(session)
        if session.amount_total == 0:
            self.give(session)
        else:
            self.deliver(session, self.collect(self.open_intent(session)))
        return session

    def claim(self, customer: Customer) -> None:
        """Write the user's id on a Stripe customer that had none: what they bought is theirs."""
        self.expected.claimed(customer)
        previous = {"metadata": {"user_id": None}}
        customer.linked = True
        self.emit("customer.updated", customer_object(customer), customer, previous)

    def _arrive(self, session: Session) -> None:
        # A buyer needs a moment, and is a customer from then on.
        self.wait(self.chance.randint(20, 90))
        self.announce(session.customer)
