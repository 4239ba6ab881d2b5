"""Draws coupons and discounts, and what lines and invoices say of theirs. Pure; no tokens here."""

from collections.abc import Sequence
from typing import Any

from sandbox.simulate.contract_records import Customer, Line, Subscription
from sandbox.simulate.coupons import Coupon, Discount
from sandbox.simulate.records import Invoice
from sandbox.simulate.versions import ApiVersion

Json = dict[str, Any]


def coupon_object(coupon: Coupon, created: int) -> Json:
    """Draw a coupon that has been redeemed once."""
    percent = coupon.percent_off or None
    return {
        "id": coupon.id,
        "object": "coupon",
        "amount_off": None if percent else coupon.amount_off,
        "created": created,
        "currency": None if percent else coupon.currency,
        "duration": coupon.duration,
        "duration_in_months": coupon.months,
        "livemode": False,
        "max_redemptions": None,
        "metadata": {},
        "name": f"{percent}% off" if percent else "Money off",
        "percent_off": percent,
        "redeem_by": None,
        "times_redeemed": 1,
        "valid": True,
    }


def discount_object(
    discount: Discount, version: ApiVersion, *, customer_id: str | None, subscription_id: str | None
) -> Json:
    """Draw a discount: its coupon whole, or under `source` where the version has that."""
    drawn: Json = {
        "id": discount.id,
        "object": "discount",
        "checkout_session": None,
        "customer": customer_id,
        "end": discount.end,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": discount.promotion_id,
        "start": discount.start,
        "subscription": subscription_id,
        "subscription_item": None,
    }
    if not version.discount_source:
        return {**drawn, "coupon": coupon_object(discount.coupon, discount.start)}
    source = {"coupon": discount.coupon.id, "type": "coupon"}
    alias = {"customer_account": None} if version.customer_accounts else {}
    return {**drawn, **alias, "source": source}


def old_discount(
    discounts: Sequence[Discount], customer: Customer, subscription: Subscription | None
) -> Json | None:
    """Draw the last of some discounts, which is all that the older versions have room for."""
    for discount in discounts[-1:]:
        return discount_object(
            discount,
            customer.version,
            customer_id=customer.id,
            subscription_id=subscription.id if subscription else None,
        )
    return None


def line_discounts(line: Line, invoice: Invoice) -> Json:
    """Return what a line says of its discounts: which ones, and what each took off."""
    if line.discount_ids:
        amounts = [
            {"amount": amount, "discount": discount_id} for discount_id, amount in line.parts
        ]
        return {"discount_amounts": amounts, "discounts": list(line.discount_ids)}
    if not line.discount:
        return {"discount_amounts": [], "discounts": []}
    whole = {"amount": line.discount, "discount": invoice.discount_id}
    return {"discount_amounts": [whole], "discounts": [invoice.discount_id]}


def invoice_discounts(invoice: Invoice) -> tuple[list[str], list[Json]]:
    """Return the discounts of an invoice, and what each took off in all."""
    if not invoice.discounts:
        whole = {"amount": invoice.discount, "discount": invoice.discount_id}
        return ([invoice.discount_id], [whole]) if invoice.discount else ([], [])
    taken = {discount.id: 0 for discount in invoice.discounts}
    for line in invoice.lines:
        for discount_id, amount in line.parts:
            taken[discount_id] = taken.get(discount_id, 0) + amount
    return list(taken), [
        {"amount": amount, "discount": discount_id} for discount_id, amount in taken.items()
    ]
