"""Draws invoices, their lines and their payments as full Stripe objects. Pure; no tokens here."""

from sandbox.simulate.contract_records import Line
from sandbox.simulate.discount_objects import invoice_discounts, line_discounts, old_discount
from sandbox.simulate.objects import Json, address, plan_object, price_object, stripe_list
from sandbox.simulate.records import Invoice

_QUIET_INVOICE: Json = {
    "account_country": "US",
    "account_name": "Simulated account",
    "account_tax_ids": None,
    "amount_shipping": 0,
    "application": None,
    "automatically_finalizes_at": None,
    "collection_method": "charge_automatically",
    "custom_fields": None,
    "customer_phone": None,
    "customer_shipping": None,
    "customer_tax_exempt": "none",
    "customer_tax_ids": [],
    "default_payment_method": None,
    "default_source": None,
    "default_tax_rates": [],
    "description": None,
    "due_date": None,
    "footer": None,
    "from_invoice": None,
    "issuer": {"type": "self"},
    "last_finalization_error": None,
    "latest_revision": None,
    "livemode": False,
    "metadata": {},
    "on_behalf_of": None,
    "payment_settings": {
        "default_mandate": None,
        "payment_method_options": None,
        "payment_method_types": None,
    },
    "receipt_number": None,
    "rendering": None,
    "shipping_cost": None,
    "shipping_details": None,
    "statement_descriptor": None,
    "test_clock": None,
    "total_pretax_credit_amounts": [],
}

_TAX_RATE = "txr_1SimulatedStandard"


def _credited(line: Line) -> Json | None:
    if line.credited is None:
        return None
    invoice_id, line_ids = line.credited
    return {"invoice": invoice_id, "invoice_line_items": list(line_ids)}


def _old_line(line: Line, invoice: Invoice) -> Json:
    from_item = line.item_id is not None and not line.proration
    drawn: Json = {
        "amount_excluding_tax": line.amount,
        "plan": plan_object(line.price) if line.price.plan.recurring else None,
        "price": price_object(line.price),
        "proration": line.proration,
        "proration_details": {"credited_items": _credited(line)},
        "tax_amounts": [],
        "tax_rates": [],
        "type": "subscription" if from_item else "invoiceitem",
        "unit_amount_excluding_tax": str(line.price.unit_minor),
    }
    if line.item_id is not None:
        drawn["subscription_item"] = line.item_id
    if not from_item:
        drawn["invoice_item"] = f"ii_{line.id[3:]}"
    if invoice.subscription:
        drawn["subscription"] = invoice.subscription.id
    return drawn


def _new_line(line: Line, invoice: Invoice) -> Json:
    subscription = invoice.subscription
    flexible = subscription is not None and subscription.flexible
    from_item = line.item_id is not None and (not line.proration or flexible)
    details: Json = {
        "invoice_item": None if from_item else f"ii_{line.id[3:]}",
        "proration": line.proration,
        "proration_details": {"credited_items": _credited(line)},
        "subscription": subscription.id if subscription else None,
    }
    kind = "subscription_item_details" if from_item else "invoice_item_details"
    if from_item:
        details["subscription_item"] = line.item_id
    other = "invoice_item_details" if from_item else "subscription_item_details"
    return {
        "parent": {kind: details, other: None, "type": kind},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": line.price.listed.id, "product": line.price.product},
            "type": "price_details",
            "unit_amount_decimal": str(line.price.unit_minor),
        },
        "subtotal": line.amount,
        "taxes": [],
    }


def line_object(line: Line, invoice: Invoice) -> Json:
    """Draw one line of an invoice."""
    version = invoice.customer.version
    shape = _new_line if version.basil else _old_line
    decimal = line.quantity_decimal or str(line.quantity)
    return {
        "id": line.id,
        "object": "line_item",
        "amount": line.amount,
        "currency": invoice.currency,
        "description": line.description,
        **line_discounts(line, invoice),
        "discountable": not line.proration,
        "invoice": invoice.id,
        "livemode": False,
        # Subscription lines mirror the subscription's metadata, invoice items do not.
        "metadata": dict(invoice.subscription_metadata) if line.item_id else {},
        "period": {"end": line.period_end, "start": line.period_start},
        "quantity": line.quantity,
        **({"quantity_decimal": decimal} if version.decimal_quantities else {}),
        **shape(line, invoice),
    }


def _old_taxes(invoice: Invoice) -> list[Json]:
    taxable = invoice.total - invoice.tax
    tax: Json = {"amount": invoice.tax, "inclusive": False, "tax_rate": _TAX_RATE}
    tax |= {"taxability_reason": "standard_rated", "taxable_amount": taxable}
    return [tax] if invoice.tax else []


def _new_taxes(invoice: Invoice) -> list[Json]:
    tax: Json = {"amount": invoice.tax, "tax_behavior": "exclusive", "type": "tax_rate_details"}
    tax |= {"tax_rate_details": {"tax_rate": _TAX_RATE}, "taxability_reason": "standard_rated"}
    return [tax | {"taxable_amount": invoice.total - invoice.tax}] if invoice.tax else []


def _old_invoice(invoice: Invoice) -> Json:
    intent = invoice.intent
    subscription = invoice.subscription
    drawn: Json = {
        "application_fee_amount": None,
        "automatic_tax": {"enabled": False, "liability": None, "status": None},
        "charge": intent.charge.id if intent and intent.charge else None,
        "discount": old_discount(invoice.discounts, invoice.customer, subscription),
        "paid": invoice.status == "paid",
        "paid_out_of_band": invoice.paid_outside,
        "payment_intent": intent.id if intent else None,
        "quote": None,
        "subscription": subscription.id if subscription else None,
        "subscription_details": {
            "metadata": dict(invoice.subscription_metadata) if subscription else None
        },
        "tax": invoice.tax or None,
        "total_tax_amounts": _old_taxes(invoice),
        "transfer_data": None,
    }
    if invoice.reason == "subscription_update":
        drawn["subscription_proration_date"] = invoice.created
    return drawn


def _new_invoice(invoice: Invoice) -> Json:
    parent: Json | None = None
    if invoice.subscription:
        parent = {
            "quote_details": None,
            "subscription_details": {
                "metadata": dict(invoice.subscription_metadata),
                "subscription": invoice.subscription.id,
            },
            "type": "subscription_details",
        }
    return {
        "amount_overpaid": 0,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "confirmation_secret": None,
        "customer_account": invoice.customer.account_reference,
        "parent": parent,
        "total_taxes": _new_taxes(invoice),
    }


def _progress(invoice: Invoice) -> Json:
    hosted = f"https://invoice.stripe.com/i/acct_simulated/{invoice.id}"
    final = invoice.finalized_at is not None
    return {
        "attempt_count": invoice.attempts,
        "attempted": invoice.attempts > 0 or invoice.paid_at is not None,
        "auto_advance": _advances(invoice),
        "effective_at": invoice.finalized_at,
        "ending_balance": invoice.ending_balance,
        "hosted_invoice_url": hosted if final else None,
        "invoice_pdf": f"{hosted}/pdf" if final else None,
        "next_payment_attempt": invoice.next_attempt,
        "number": invoice.number if final else None,
        "status": invoice.status,
        "status_transitions": {
            "finalized_at": invoice.finalized_at,
            "marked_uncollectible_at": invoice.uncollectible_at,
            "paid_at": invoice.paid_at,
            "voided_at": invoice.voided_at,
        },
        "webhooks_delivered_at": invoice.created,
    }


def invoice_object(invoice: Invoice) -> Json:
    """Draw an invoice as it stands."""
    customer = invoice.customer
    shape = _new_invoice if customer.version.basil else _old_invoice
    lines = [line_object(line, invoice) for line in invoice.lines[: invoice.lists_cut]]
    listed = stripe_list(lines, f"/v1/invoices/{invoice.id}/lines")
    discount_ids, discount_amounts = invoice_discounts(invoice)
    return {
        "id": invoice.id,
        "object": "invoice",
        **_QUIET_INVOICE,
        **_progress(invoice),
        **shape(invoice),
        "amount_due": invoice.amount_due,
        "amount_paid": invoice.amount_paid,
        "amount_remaining": invoice.amount_due - invoice.amount_paid,
        "billing_reason": invoice.reason,
        "created": invoice.created,
        "currency": invoice.currency,
        "customer": customer.reference,
        "customer_address": address(customer) if customer.country else None,
        "customer_email": customer.email or None,
        "customer_name": customer.name or None,
        "discounts": discount_ids,
        "lines": {**listed, "has_more": len(lines) < len(invoice.lines)},
        # The invoice's own period says when items could be attached, not what was bought.
        "period_end": invoice.created,
        "period_start": invoice.created,
        "post_payment_credit_notes_amount": invoice.post_credited,
        "pre_payment_credit_notes_amount": invoice.pre_credited,
        "starting_balance": invoice.starting_balance,
        "subtotal": invoice.subtotal,
        "subtotal_excluding_tax": invoice.subtotal,
        "total": invoice.total,
        "total_discount_amounts": discount_amounts,
        "total_excluding_tax": invoice.total - invoice.tax,
        "metadata": dict(invoice.metadata),
        **_sent(invoice),
        **invoice.stated,
    }


def _advances(invoice: Invoice) -> bool:
    return invoice.status in {"draft", "open"} and invoice.auto_advance is not False


def _sent(invoice: Invoice) -> Json:
    if invoice.days_until_due is None:
        return {}
    due = (invoice.finalized_at or invoice.created) + invoice.days_until_due * 86400
    return {"collection_method": "send_invoice", "due_date": due}


def upcoming_object(invoice: Invoice) -> Json:
    """Draw the preview Stripe sends before a renewal: an invoice without an id."""
    drawn = invoice_object(invoice)
    del drawn["id"]
    return {**drawn, "status": "draft", "number": None}


def invoice_payment_object(invoice: Invoice) -> Json:
    """Draw the payment that paid an invoice: the direct link to its intent."""
    intent = invoice.intent
    return {
        "id": invoice.payment_id,
        "object": "invoice_payment",
        "amount_paid": invoice.amount_paid,
        "amount_requested": invoice.amount_due,
        "created": invoice.finalized_at,
        "currency": invoice.currency,
        "invoice": invoice.id,
        "is_default": True,
        "livemode": False,
        "payment": {
            "payment_intent": intent.id if intent else None,
            "type": "payment_intent",
        },
        "status": "paid",
        "status_transitions": {"canceled_at": None, "paid_at": invoice.paid_at},
    }
