"""People of the shop in flow tests: they ask our API with a token, and act on Stripe's pages.

Nothing here looks into our tables.
"""

from dataclasses import dataclass
from datetime import datetime
from re import search
from typing import Any
from uuid import uuid4

from werkzeug.test import TestResponse

from sandbox.simulate.contract_records import Customer
from sandbox.stripe.views import Checkout, Paid, PaymentLine, Portal
from tests.ingest.builders import a_token, as_user
from tests.offline_stripe import GOOD
from tests.shop_floor import PLANS, Floor

CHECKOUT = "/billing/stripe/checkout-session/"
PORTAL = "/billing/stripe/customer-portal/"
DEBIT = "/billing/tokens/debit/"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Buyer:
    """A user of the shop: asks our API with a token, and acts on Stripe's pages."""

    floor: Floor
    user: str

    # What the frontend asks.

    @property
    def headers(self) -> dict[str, str]:
        """What says who is asking."""
        return as_user(self.user)

    def ask(self, plan_id: int, **body: Any) -> TestResponse:
        """Ask for a checkout session."""
        wanted = {"plan_type": PLANS[plan_id].type, "plan_id": plan_id} | body
        client = self.floor.app.test_client()
        return client.post(CHECKOUT, json=wanted, headers=as_user(self.user))

    def checkout(self, plan_id: int, **body: Any) -> str:
        """Open a checkout page, which Stripe has; the session's id."""
        answer = self.ask(plan_id, **body)
        assert answer.status_code == 200, answer.text
        found: Json = answer.get_json()
        assert found["url"].startswith(self.floor.stripe.url), found
        return str(found["session_id"])

    def get(self, path: str) -> Any:
        """What an endpoint shows."""
        answer = self.floor.app.test_client().get(path, headers=as_user(self.user))
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def status(self, session_id: str) -> Json:
        """What the success page is told."""
        found: Json = self.get(f"{CHECKOUT}{session_id}/")
        assert found.pop("session_id") == session_id
        return found

    def visit(self, **body: Any) -> str:
        """Open the portal; the visit's id at Stripe."""
        client = self.floor.app.test_client()
        answer = client.post(PORTAL, json=body, headers=as_user(self.user))
        assert answer.status_code == 200, answer.text
        found = search(r"bps_\w+", answer.get_json()["url"])
        assert found, answer.text
        return found[0]

    def debit(self, amount: int, *, expect: int = 201) -> Json:
        """Spend tokens, each time under a new key; the answer."""
        spender = a_token(user=self.user, scope="tokens:debit")
        headers = {"Authorization": f"Bearer {spender}", "Idempotency-Key": uuid4().hex}
        wanted = {"amount": amount, "reason": "a test"}
        answer = self.floor.app.test_client().post(DEBIT, json=wanted, headers=headers)
        assert answer.status_code == expect, answer.text
        found: Json = answer.get_json(force=True)
        return found

    @property
    def balance(self) -> int:
        """Tokens."""
        return int(self.get("/billing/tokens/")["balance"])

    @property
    def ledger(self) -> list[tuple[str, int]]:
        """Kind and delta of every entry, oldest first; they must add up to the balance."""
        entries = self.get("/billing/tokens/ledger/")["items"][::-1]
        total = 0
        for entry in entries:
            total += entry["delta"]
            assert entry["balance_after"] == total
        assert total == self.balance
        return [(entry["kind"], entry["delta"]) for entry in entries]

    @property
    def payments(self) -> list[Json]:
        """Payments, oldest first."""
        found: list[Json] = self.get("/billing/payments/")["items"]
        return found[::-1]

    @property
    def paid(self) -> list[tuple[str, int, int]]:
        """Status, amount and tokens of every payment, oldest first."""
        return [(each["status"], each["amount"], each["tokens"]) for each in self.payments]

    @property
    def subscriptions(self) -> list[Json]:
        """Subscriptions, newest first."""
        found: list[Json] = self.get("/billing/subscriptions/")["items"]
        return found

    @property
    def subscription(self) -> Json:
        """The one subscription."""
        [found] = self.subscriptions
        return found

    @property
    def standing(self) -> tuple[str, bool]:
        """Status of the one subscription, and whether it counts as active."""
        found = self.subscription
        return found["status"], found["is_active"]

    # What is done on Stripe's pages.

    def buy(self, plan_id: int, card: str = GOOD, **body: Any) -> str:
        """Buy by card, and come back to a page that finds it complete; the session's id."""
        session_id = self.checkout(plan_id, **body)
        assert isinstance(self.floor.stripe.world.pay(session_id, card), Paid)
        self.floor.settle()
        found = self.status(session_id)
        assert (found["status"], found["plan_id"]) == ("complete", plan_id)
        return session_id

    def subscribe(self, plan_id: int, card: str = GOOD, **body: Any) -> str:
        """Buy what renews; the subscription's id, the same for us and for Stripe."""
        session_id = self.buy(plan_id, card, **body)
        known: str = self.status(session_id)["subscription_id"]
        stripes = self.floor.stripe.client.v1.checkout.sessions.retrieve(session_id)
        assert known == stripes.subscription
        return known

    def page(self, session_id: str) -> Checkout:
        """The checkout page as it shows itself."""
        shown = self.floor.stripe.world.checkout(session_id)
        assert shown is not None
        return shown

    def portal(self, visit: str) -> Portal:
        """The portal as it shows itself."""
        shown = self.floor.stripe.world.portal(visit)
        assert shown is not None
        return shown

    def pass_period(self) -> None:
        """Let time pass until the subscription has been renewed, or failed to be."""
        ends = int(datetime.fromisoformat(self.subscription["current_period_end"]).timestamp())
        self.floor.stripe.world.advance(ends - self.floor.stripe.world.now)
        self.floor.settle()

    # What the seller sees.

    @property
    def customer(self) -> str:
        """The living Stripe customer of this user."""
        with self.floor.stripe.world.reading() as shop:
            found = [each for each in shop.every(Customer) if each.user_id == self.user]
        [living] = [each.id for each in found if not each.deleted]
        return living

    @property
    def charge(self) -> PaymentLine:
        """The newest charge of this user."""
        customer = self.customer
        lines = self.floor.stripe.world.dashboard().payments
        return next(line for line in lines if line.customer_id == customer)

    def refund(self, amount_minor: int | None = None) -> str:
        """Give some of the newest charge back, or all that is left; the refund's id."""
        refund = self.floor.stripe.world.refund(self.charge.charge_id, amount_minor)
        self.floor.settle()
        return refund
