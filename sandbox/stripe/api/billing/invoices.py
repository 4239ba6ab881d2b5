"""Invoices, their lines and payments."""

from collections.abc import Callable

from sandbox.simulate.invoice_objects import invoice_object
from sandbox.simulate.records import Invoice
from sandbox.stripe.api.calls import Call, Endpoint, Found, Json
from sandbox.stripe.api.finding import find_method
from sandbox.stripe.api.lists import invoice_payments, lines_of
from sandbox.stripe.api.parameters import DATED_PAGE, NOTHING, PAGE, Group, flag, one_of, text
from sandbox.stripe.api.searching import searching
from sandbox.stripe.errors import card_declined, invalid, no_such
from sandbox.stripe.views import Declined, NeedsAuthentication


def _invoices(call: Call) -> Found:
    return call.listed(
        Invoice,
        customer=lambda invoice: invoice.customer.id,
        subscription=lambda invoice: invoice.subscription and invoice.subscription.id,
        status=lambda invoice: invoice.status,
    )


def _invoice(call: Call) -> Invoice:
    return call.the(Invoice, "invoice")


def _lines(call: Call) -> Found:
    return call.page(lines_of(_invoice(call)), lambda line: str(line["id"]))


def _pay(call: Call) -> Found:
    invoice = _invoice(call)
    if invoice.status == "paid":
        raise invalid("Invoice is already paid", None, "invoice_already_paid")
    if invoice.status != "open":
        message = f"Invoices with status {invoice.status} cannot be paid."
        raise invalid(message, None, "invoice_not_editable")
    if call.params.get("paid_out_of_band"):
        call.shop.receive_outside(invoice)
        return invoice
    card = call.shop.card_for(invoice.customer, invoice.subscription)
    if call.params.get("payment_method"):
        card = find_method(call, call.params["payment_method"], "payment_method").card
    if card is None or card.fails_later:
        call.shop.refuse(invoice, retry_at=invoice.next_attempt, code="generic_decline")
        raise card_declined("Your card was declined.", "generic_decline")
    match call.shop.pay_now(invoice, card, authenticated=True):
        case Declined() as said:
            raise card_declined(said.message, said.code)
        case NeedsAuthentication():
            raise card_declined("This card asks for authentication.", "authentication_required")
        case None:
            return invoice


def _void(call: Call) -> Found:
    invoice = _invoice(call)
    if invoice.status != "open":
        raise invalid(f"You can only pass in open invoices; this is {invoice.status}.")
    call.shop.void(invoice)
    return invoice


def _payments(call: Call) -> Found:
    params = call.params
    wanted = params.get("payment", {}).get("payment_intent")
    payments: list[Json] = [
        drawn
        for one in call.shop.every(Invoice)
        if params.get("invoice") in (None, one.id)
        for drawn in invoice_payments(one)
        if params.get("status") in (None, drawn["status"])
        and wanted in (None, drawn["payment"]["payment_intent"])
    ]
    key: Callable[[Json], str] = lambda drawn: str(drawn["id"])  # noqa: E731 - it names the type.
    return call.page(payments, key)


def _payment(call: Call) -> Json:
    for invoice in call.shop.every(Invoice):
        for drawn in invoice_payments(invoice):
            if drawn["id"] == call.id:
                return drawn
    raise no_such("invoice_payment", call.id, "id")


_I = "/v1/invoices"
_FOUND_BY = ("created", "currency", "customer", "number", "status", "total")
_PAY = Group({"off_session": flag, "paid_out_of_band": flag, "payment_method": text})
ENDPOINTS = (
    Endpoint(
        "GET",
        _I,
        Group(
            {
                **DATED_PAGE,
                "customer": text,
                "status": one_of("draft", "open", "paid", "uncollectible", "void"),
                "subscription": text,
            }
        ),
        _invoices,
    ),
    searching(_I, Invoice, invoice_object, _FOUND_BY),
    Endpoint("GET", f"{_I}/<id>", NOTHING, _invoice),
    Endpoint("GET", f"{_I}/<id>/lines", Group(PAGE), _lines),
    Endpoint("POST", f"{_I}/<id>/pay", _PAY, _pay),
    Endpoint("POST", f"{_I}/<id>/void", NOTHING, _void),
    Endpoint(
        "GET",
        "/v1/invoice_payments",
        Group(
            {
                **DATED_PAGE,
                "invoice": text,
                "payment": Group({"payment_intent": text, "type": one_of("payment_intent")}),
                "status": one_of("canceled", "open", "paid"),
            }
        ),
        _payments,
    ),
    Endpoint("GET", "/v1/invoice_payments/<id>", NOTHING, _payment),
)
