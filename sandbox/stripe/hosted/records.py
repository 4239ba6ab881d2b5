"""Pages of single things: an event and its deliveries, an invoice, a receipt, a question."""

from typing import Any

import orjson
from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug import Response
from werkzeug.exceptions import NotFound

from sandbox.simulate.money_records import Charge
from sandbox.simulate.records import Invoice
from sandbox.stripe.addresses import at_home
from sandbox.stripe.world import World

Page = str | Response


class RecordPages:
    """The pages of one account's events, invoices and receipts."""

    def __init__(self, world: World) -> None:
        self._world = world

    def register(self, pages: Blueprint) -> None:
        """Add the pages to a blueprint."""
        pages.add_url_rule("/events/<event_id>", "event", self.event, methods=["GET"])
        pages.add_url_rule("/events/<event_id>", "resend", self.resend, methods=["POST"])
        pages.add_url_rule("/i/<account>/<invoice_id>", "own_invoice", self.invoice)
        pages.add_url_rule("/i/<account>/<invoice_id>/pdf", "invoice_pdf", self.invoice)
        pages.add_url_rule("/receipts/payment/<charge_id>", "receipt", self.receipt)
        pages.add_url_rule("/authenticate/<intent_id>", "bank", self.ask, methods=["GET"])
        pages.add_url_rule("/authenticate/<intent_id>", "bank_answer", self.told, methods=["POST"])

    def event(self, event_id: str) -> Page:
        """What an event says, and what became of it at each endpoint."""
        posted = self._world.log.get(event_id)
        if posted is None:
            raise NotFound("There is no such event.")
        addresses = {one.id: one.url for one in self._world.destinations}
        body = orjson.dumps(posted.event.payload, option=orjson.OPT_INDENT_2)
        payload = at_home(body, self._world.base_url).decode()
        return render_template(
            "hosted/event.html",
            posted=posted,
            payload=payload,
            deliveries=[
                (addresses.get(name, name), posting) for name, posting in posted.postings.items()
            ],
            notice="It is posted once more." if request.args.get("done") else "",
        )

    def resend(self, event_id: str) -> Page:
        """Post an event once more."""
        if not self._world.resend(event_id):
            raise NotFound("There is no such event.")
        return redirect(url_for("hosted.event", event_id=event_id, done="resend"), 303)

    def invoice(self, account: str, invoice_id: str) -> Page:
        """An invoice as its customer sees it."""
        del account
        with self._world.reading() as shop:
            invoice = shop.get(Invoice, invoice_id)
            if invoice is None or invoice.finalized_at is None:
                raise NotFound("There is no such invoice.")
            return render_template("hosted/invoice.html", invoice=invoice)

    def receipt(self, charge_id: str) -> Page:
        """What was paid, for whoever paid it."""
        with self._world.reading() as shop:
            charge = shop.get(Charge, charge_id)
            if charge is None or charge.status != "succeeded":
                raise NotFound("There is no such receipt.")
            return render_template("hosted/receipt.html", charge=charge)

    def ask(self, intent_id: str) -> Page:
        """The bank's question to a buyer who pays by a request."""
        last4, _ = self._waiting(intent_id)
        words = "A shop asks for a payment, or to keep your card."
        return render_template("hosted/authenticate.html", last4=last4, text=words)

    def told(self, intent_id: str) -> Page:
        """The buyer's answer; it leads back to the shop."""
        _, back = self._waiting(intent_id)
        self._world.answer_bank(intent_id, succeeds=request.form.get("outcome") == "complete")
        return redirect(back or url_for("hosted.dashboard"), 303)

    def _waiting(self, intent_id: str) -> tuple[str, Any]:
        asked = self._world.asked_by_bank(intent_id)
        if asked is None:
            raise NotFound("No payment waits for this answer.")
        return asked
