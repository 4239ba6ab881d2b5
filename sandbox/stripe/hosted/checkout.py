"""The checkout page: shows what is bought, takes a test card, sends the buyer back to the shop.

It never keeps a card's number for longer than its authentication takes.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug import Response
from werkzeug.exceptions import NotFound

from sandbox.stripe.hosted.authentication import Authentications
from sandbox.stripe.hosted.cards import TEST_CARDS, card_number, what_is_wrong
from sandbox.stripe.hosted.wording import date, money, per
from sandbox.stripe.views import Checkout, Declined, NeedsAuthentication, Paid
from sandbox.stripe.world import World

DAY_SECONDS = 86_400

Page = Response | str | tuple[str, int]
Outcome = Paid | Declined | NeedsAuthentication


class CheckoutPages:
    """The pages of `/c/…` on one account."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting = Authentications()

    def register(self, pages: Blueprint) -> None:
        """Add the pages to a blueprint."""
        for rule, name, view, method in (
            ("/c/pay/<session_id>", "checkout", self.show, "GET"),
            ("/c/pay/<session_id>", "pay", self.pay, "POST"),
            ("/c/promotion/<session_id>", "promotion", self.promote, "POST"),
            ("/c/authenticate/<session_id>", "authentication", self.ask, "GET"),
            ("/c/authenticate/<session_id>", "authenticate", self.authenticate, "POST"),
        ):
            pages.add_url_rule(rule, name, view, methods=[method])

    def show(self, session_id: str) -> Page:
        """The page of a session, or why it can no longer be paid."""
        checkout = self._found(session_id)
        return self._form(checkout) if checkout.status == "open" else _over(checkout)

    def pay(self, session_id: str) -> Page:
        """Try to pay as the form says."""
        checkout = self._found(session_id)
        if checkout.status != "open":
            return _over(checkout)
        if request.form.get("method") == "bank":
            return self._answer(checkout, self._world.pay_delayed(session_id))
        wrong = what_is_wrong(request.form, self._world.now)
        if wrong:
            return self._form(checkout, request.form, wrong), HTTPStatus.UNPROCESSABLE_ENTITY
        card = card_number(request.form)
        outcome = self._world.pay(session_id, card)
        if isinstance(outcome, NeedsAuthentication):
            self._waiting.remember(session_id, card)
        return self._answer(checkout, outcome)

    def promote(self, session_id: str) -> Page:
        """Take the promotion code that was typed off what is due."""
        checkout = self._found(session_id)
        said = self._world.apply_code(session_id, request.form.get("promotion_code", ""))
        if said is None:
            return redirect(url_for("hosted.checkout", session_id=session_id), 303)
        wrong = {"promotion_code": said.message}
        page = self._form(checkout, request.form, wrong)
        return page, HTTPStatus.UNPROCESSABLE_ENTITY

    def ask(self, session_id: str) -> Page:
        """The bank's page, between the form and the payment."""
        checkout = self._found(session_id)
        card = self._waiting.card(session_id)
        if checkout.status != "open" or card is None:
            return redirect(url_for("hosted.checkout", session_id=session_id), 303)
        return render_template(
            "hosted/authenticate.html", text=_asked_for(checkout), last4=card[-4:]
        )

    def authenticate(self, session_id: str) -> Page:
        """Go on as the buyer said on the bank's page."""
        checkout = self._found(session_id)
        card = self._waiting.take(session_id)
        if checkout.status != "open" or card is None:
            return redirect(url_for("hosted.checkout", session_id=session_id), 303)
        if request.form.get("outcome") == "complete":
            return self._answer(checkout, self._world.pay(session_id, card, authenticated=True))
        return self._answer(checkout, self._world.refuse_authentication(session_id))

    def _answer(self, checkout: Checkout, outcome: Outcome) -> Page:
        match outcome:
            case Paid(redirect_url=url):
                page = url_for("hosted.checkout", session_id=checkout.session_id)
                return redirect(url or page, 303)
            case Declined(message=message):
                return self._form(checkout, request.form, {}, message), HTTPStatus.PAYMENT_REQUIRED
            case NeedsAuthentication():
                where = url_for("hosted.authentication", session_id=checkout.session_id)
                return redirect(where, 303)

    def _form(
        self,
        checkout: Checkout,
        form: Mapping[str, str] | None = None,
        wrong: Mapping[str, str] | None = None,
        message: str = "",
    ) -> str:
        keeps = checkout.mode == "setup"
        return render_template(
            "hosted/keep.html" if keeps else "hosted/checkout.html",
            checkout=checkout,
            form=form or {},
            wrong=wrong or {},
            message=message,
            cards=TEST_CARDS,
            action=url_for("hosted.pay", session_id=checkout.session_id),
            **({} if keeps else _terms(checkout, self._world.now)),
        )

    def _found(self, session_id: str) -> Checkout:
        checkout = self._world.checkout(session_id)
        if checkout is None:
            raise NotFound
        return checkout


def _asked_for(checkout: Checkout) -> str:
    """What the bank asks its customer to confirm."""
    if checkout.mode == "setup":
        return "A shop asks to keep your card. Nothing is charged."
    amount = money(checkout.due_minor, checkout.currency)
    often = f", {per(checkout.interval)}" if checkout.interval else ""
    return f"{amount} for {checkout.product_name}{often}."


_SUBMITS = {"book": "Book for", "donate": "Donate"}


def _terms(checkout: Checkout, now: int) -> dict[str, Any]:
    """What the page says of the money: the price, what is due, and what the button promises."""
    price = money(checkout.amount_minor, checkout.currency)
    per_period = per(checkout.interval)
    begins = date(now + checkout.trial_days * DAY_SECONDS)
    if checkout.trial_days:
        heading, button = f"Try {checkout.product_name}", "Start the trial"
        terms = f"After the trial, {price} {per_period} from {begins} until you cancel."
    elif checkout.interval:
        heading, button = f"Subscribe to {checkout.product_name}", "Subscribe"
        before = " before discounts," if checkout.discount_name else ""
        terms = f"{price} {per_period}{before} until you cancel, which you can do at any time."
    else:
        due = money(checkout.due_minor, checkout.currency)
        word = _SUBMITS.get(checkout.submit_type or "", "Pay")
        heading, button, terms = checkout.product_name, f"{word} {due}", ""
    return {
        "heading": heading,
        "button": button,
        "terms": terms,
        "price": f"{checkout.trial_days} days free" if checkout.trial_days else price,
        "per": f"then {price} {per_period}" if checkout.trial_days else per_period,
        "full_price": price,
        "trial_until": begins,
        "due_today": money(checkout.due_minor, checkout.currency),
    }


def _over(checkout: Checkout) -> tuple[str, int]:
    paid = checkout.status == "complete"
    if not paid:
        title = "This page has expired"
        text = "Nothing was charged. Go back to the shop and start again."
    elif checkout.mode == "setup":
        title, text = "This is done", "The shop has what it asked to keep."
    else:
        title = "This order is complete"
        text = f"{checkout.product_name} has been ordered already; nothing is due here any more."
    link = checkout.success_url if paid else checkout.cancel_url
    page = render_template(
        "hosted/over.html", title=title, text=text, link=link, link_text="Back to the shop"
    )
    return page, HTTPStatus.OK if paid else HTTPStatus.GONE
