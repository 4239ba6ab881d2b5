"""The customer portal: subscriptions, card and invoices of one customer, and what to do with them.

Whoever has the address of a visit acts as its customer, as with the real one.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug import Response
from werkzeug.exceptions import NotFound

from sandbox.stripe.hosted.authentication import Authentications
from sandbox.stripe.hosted.cards import TEST_CARDS, card_number, what_is_wrong
from sandbox.stripe.hosted.wording import money
from sandbox.stripe.views import (
    Declined,
    NeedsAuthentication,
    Paid,
    PlanOption,
    Portal,
    PortalInvoice,
    PortalSubscription,
)
from sandbox.stripe.world import World

ROOT = "/p/session/<portal_id>"
# An end that is reached is no longer there to be changed.
OVER = frozenset({"canceled", "incomplete_expired"})
DONE = {
    "canceled": "The subscription ends as you chose. You can take it back until then.",
    "ended": "The subscription has ended.",
    "kept": "The subscription goes on.",
    "switched": "The plan has been switched.",
    "card": "The new card is saved.",
    "paid": "The invoice is paid.",
}

_REFUSED = Declined("Your bank did not confirm the payment.", "authentication_failed")

Page = Response | str | tuple[str, int]
Outcome = Paid | Declined | NeedsAuthentication
Own = tuple[Portal, PortalSubscription]


class PortalPages:
    """The pages of `/p/…` on one account."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting = Authentications()

    def register(self, pages: Blueprint) -> None:
        """Add the pages to a blueprint."""
        subscription = f"{ROOT}/subscriptions/<subscription_id>"
        invoice = f"{ROOT}/invoices/<invoice_id>"
        rules: tuple[tuple[str, str, Callable[..., Page], str], ...] = (
            (ROOT, "portal", self.show, "GET"),
            (f"{subscription}/cancel", "ask_cancel", self.ask_cancel, "GET"),
            (f"{subscription}/cancel", "cancel", self.cancel, "POST"),
            (f"{subscription}/undo", "undo_cancel", self.undo_cancel, "POST"),
            (f"{subscription}/plan", "plans", self.plans, "GET"),
            (f"{subscription}/plan", "switch_plan", self.switch_plan, "POST"),
            (f"{ROOT}/card", "card", self.card, "GET"),
            (f"{ROOT}/card", "set_card", self.set_card, "POST"),
            (f"{invoice}/pay", "invoice", self.invoice, "GET"),
            (f"{invoice}/pay", "pay_invoice", self.pay_invoice, "POST"),
            (f"{invoice}/authenticate", "invoice_authentication", self.ask, "GET"),
            (f"{invoice}/authenticate", "authenticate_invoice", self.authenticate, "POST"),
        )
        for rule, name, view, method in rules:
            pages.add_url_rule(rule, name, view, methods=[method])

    def show(self, portal_id: str) -> Page:
        """The portal's first page, or the page that the link of this visit leads to."""
        portal = self._found(portal_id)
        done = request.args.get("done", "")
        deep = _deep_link(portal_id, portal) if portal.flow and "done" not in request.args else None
        if deep:
            return redirect(deep, 303)
        return render_template(
            "hosted/portal.html",
            portal=portal,
            portal_id=portal_id,
            notice=DONE.get(done, ""),
            over=OVER,
        )

    def ask_cancel(self, portal_id: str, subscription_id: str) -> Page:
        """The page that asks whether to cancel, and when."""
        portal, subscription = self._cancellable(portal_id, subscription_id)
        return self._page("cancel", portal_id, portal, subscription=subscription)

    def cancel(self, portal_id: str, subscription_id: str) -> Page:
        """Cancel at the end of the period, or at once."""
        portal, _ = self._cancellable(portal_id, subscription_id)
        moment = request.form.get("when", portal.cancel_moments[0])
        if moment not in portal.cancel_moments:
            raise NotFound
        now = moment == "now"
        self._world.cancel(portal_id, subscription_id, now=now)
        return _on(portal_id, portal, "ended" if now else "canceled")

    def undo_cancel(self, portal_id: str, subscription_id: str) -> Page:
        """Take a cancellation back."""
        self._subscription(portal_id, subscription_id)
        self._world.undo_cancel(portal_id, subscription_id)
        return _back(portal_id, "kept")

    def plans(self, portal_id: str, subscription_id: str) -> Page:
        """The page to choose another plan on."""
        portal, subscription = self._subscription(portal_id, subscription_id)
        return self._page("plans", portal_id, portal, subscription=subscription)

    def switch_plan(self, portal_id: str, subscription_id: str) -> Page:
        """Switch to the plan that was chosen; the difference is due at once."""
        portal, subscription = self._subscription(portal_id, subscription_id)
        option = _option(subscription, request.form.get("price_id", ""))
        if option is None:
            wrong = "Choose a plan to switch to."
            page = self._page("plans", portal_id, portal, subscription=subscription, wrong=wrong)
            return page, HTTPStatus.UNPROCESSABLE_ENTITY
        match self._world.switch_plan(portal_id, subscription_id, option.price_id):
            case Declined(message=wrong):
                page = self._page(
                    "plans", portal_id, portal, subscription=subscription, wrong=wrong
                )
                return page, HTTPStatus.PAYMENT_REQUIRED
        return _on(portal_id, portal, "switched")

    def card(self, portal_id: str) -> Page:
        """The page to enter another card on."""
        return self._card_page(portal_id, self._with_card(portal_id))

    def set_card(self, portal_id: str) -> Page:
        """Save the card that was entered."""
        portal = self._with_card(portal_id)
        wrong = what_is_wrong(request.form, self._world.now)
        if wrong:
            return self._card_page(portal_id, portal, wrong=wrong), HTTPStatus.UNPROCESSABLE_ENTITY
        match self._world.set_card(portal_id, card_number(request.form)):
            case Declined(message=message):
                return self._card_page(
                    portal_id, portal, message=message
                ), HTTPStatus.PAYMENT_REQUIRED
        return _on(portal_id, portal, "card")

    def invoice(self, portal_id: str, invoice_id: str) -> Page:
        """The page to pay an open invoice on."""
        portal, invoice = self._invoice(portal_id, invoice_id)
        if not invoice.payable:
            return _back(portal_id)
        return self._card_page(portal_id, portal, invoice=invoice)

    def pay_invoice(self, portal_id: str, invoice_id: str) -> Page:
        """Pay an open invoice with the card that was entered."""
        portal, invoice = self._invoice(portal_id, invoice_id)
        if not invoice.payable:
            return _back(portal_id)
        wrong = what_is_wrong(request.form, self._world.now)
        if wrong:
            page = self._card_page(portal_id, portal, invoice=invoice, wrong=wrong)
            return page, HTTPStatus.UNPROCESSABLE_ENTITY
        card = card_number(request.form)
        outcome = self._world.pay_invoice(portal_id, invoice_id, card)
        if isinstance(outcome, NeedsAuthentication):
            self._waiting.remember(invoice_id, card)
        return self._paid(portal_id, portal, invoice, outcome)

    def ask(self, portal_id: str, invoice_id: str) -> Page:
        """The bank's page, between the form and the payment of an invoice."""
        _, invoice = self._invoice(portal_id, invoice_id)
        card = self._waiting.card(invoice_id)
        if not invoice.payable or card is None:
            return _back(portal_id)
        text = f"{money(invoice.amount_minor, invoice.currency)} for invoice {invoice.number}."
        return render_template("hosted/authenticate.html", text=text, last4=card[-4:])

    def authenticate(self, portal_id: str, invoice_id: str) -> Page:
        """Go on as the buyer said on the bank's page."""
        portal, invoice = self._invoice(portal_id, invoice_id)
        card = self._waiting.take(invoice_id)
        if not invoice.payable or card is None:
            return _back(portal_id)
        if request.form.get("outcome") != "complete":
            return self._paid(portal_id, portal, invoice, _REFUSED)
        outcome = self._world.pay_invoice(portal_id, invoice_id, card, authenticated=True)
        return self._paid(portal_id, portal, invoice, outcome)

    def _paid(
        self, portal_id: str, portal: Portal, invoice: PortalInvoice, outcome: Outcome
    ) -> Page:
        match outcome:
            case Paid():
                return _back(portal_id, "paid")
            case Declined(message=message):
                form = self._card_page(portal_id, portal, invoice=invoice, message=message)
                return form, HTTPStatus.PAYMENT_REQUIRED
            case NeedsAuthentication():
                page = "hosted.invoice_authentication"
                where = url_for(page, portal_id=portal_id, invoice_id=invoice.id)
                return redirect(where, 303)

    def _card_page(
        self,
        portal_id: str,
        portal: Portal,
        *,
        invoice: PortalInvoice | None = None,
        wrong: Mapping[str, str] | None = None,
        message: str = "",
    ) -> str:
        return self._page(
            "card",
            portal_id,
            portal,
            action=_card_action(portal_id, invoice),
            invoice=invoice,
            form=request.form,
            wrong=wrong or {},
            message=message,
            cards=TEST_CARDS,
        )

    def _page(self, name: str, portal_id: str, portal: Portal, **values: Any) -> str:  # noqa: ANN401 - what each template names.
        # A deep link leads back to the shop, everything else to the portal's first page.
        portal_url = url_for("hosted.portal", portal_id=portal_id)
        back = portal.return_url if portal.flow else portal_url
        return render_template(
            f"hosted/{name}.html", portal=portal, portal_id=portal_id, back=back, **values
        )

    def _found(self, portal_id: str) -> Portal:
        portal = self._world.portal(portal_id)
        if portal is None:
            raise NotFound
        return portal

    def _with_card(self, portal_id: str) -> Portal:
        portal = self._found(portal_id)
        if not portal.takes_card:
            raise NotFound
        return portal

    def _subscription(self, portal_id: str, subscription_id: str) -> Own:
        portal = self._found(portal_id)
        for subscription in portal.subscriptions:
            if subscription.id == subscription_id and subscription.status not in OVER:
                return portal, subscription
        raise NotFound

    def _cancellable(self, portal_id: str, subscription_id: str) -> Own:
        portal, subscription = self._subscription(portal_id, subscription_id)
        if not portal.cancel_moments:
            raise NotFound
        return portal, subscription

    def _invoice(self, portal_id: str, invoice_id: str) -> tuple[Portal, PortalInvoice]:
        portal = self._found(portal_id)
        for invoice in portal.invoices if portal.shows_invoices else ():
            if invoice.id == invoice_id:
                return portal, invoice
        raise NotFound


def _deep_link(portal_id: str, portal: Portal) -> str | None:
    """Where the flow of a visit leads, while that still is somewhere."""
    if portal.flow == "payment_method_update":
        return url_for("hosted.card", portal_id=portal_id)
    page = {"subscription_cancel": "ask_cancel", "subscription_update": "plans"}.get(
        portal.flow or ""
    )
    for subscription in portal.subscriptions:
        named = portal.flow_subscription in (None, subscription.id)
        if page and named and subscription.status not in OVER:
            return url_for(f"hosted.{page}", portal_id=portal_id, subscription_id=subscription.id)
    return None


def _card_action(portal_id: str, invoice: PortalInvoice | None) -> str:
    if invoice:
        return url_for("hosted.pay_invoice", portal_id=portal_id, invoice_id=invoice.id)
    return url_for("hosted.set_card", portal_id=portal_id)


def _option(subscription: PortalSubscription, price_id: str) -> PlanOption | None:
    return next((option for option in subscription.options if option.price_id == price_id), None)


def _on(portal_id: str, portal: Portal, done: str) -> Response:
    """To where a deep link leads once something is done, or back into the portal."""
    return redirect(portal.after_flow, 303) if portal.after_flow else _back(portal_id, done)


def _back(portal_id: str, done: str = "") -> Response:
    """To the portal's first page, which says what was done; and never through the deep link."""
    return redirect(url_for("hosted.portal", portal_id=portal_id, done=done), 303)
