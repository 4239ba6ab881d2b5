"""Draws hosted checkout sessions as full Stripe objects. Pure; never computes a token."""

from sandbox.simulate.objects import Json, address
from sandbox.simulate.records import HostedSession, Session

# How long an open session waits for its buyer.
LIFETIME_SECONDS = 24 * 3600

_QUIET_SESSION: Json = {
    "adaptive_pricing": {"enabled": False},
    "after_expiration": None,
    "billing_address_collection": None,
    "consent_collection": None,
    "currency_conversion": None,
    "custom_fields": [],
    "custom_text": {
        "after_submit": None,
        "shipping_address": None,
        "submit": None,
        "terms_of_service_acceptance": None,
    },
    "livemode": False,
    "locale": None,
    "payment_method_configuration_details": {"id": "pmc_1SimulatedDefault", "parent": None},
    "phone_number_collection": {"enabled": False},
    "recovered_from": None,
    "saved_payment_method_options": None,
    "setup_intent": None,
    "shipping_address_collection": None,
    "shipping_cost": None,
    "shipping_options": [],
    "submit_type": None,
}
_NOTHING_SOLD: Json = {
    "allow_promotion_codes": None,
    "amount_subtotal": None,
    "amount_total": None,
    "currency": None,
    "customer_creation": None,
    "discounts": None,
    "invoice": None,
    "invoice_creation": None,
    "payment_intent": None,
    "payment_link": None,
    "payment_method_collection": "always",
    "payment_method_types": ["card"],
    "subscription": None,
    "total_details": None,
}
_SUCCESS_URL = "http://localhost:3000/billing/success?session_id={CHECKOUT_SESSION_ID}"
_CANCEL_URL = "http://localhost:3000/billing/cancel"


def _invoice_creation(session: Session) -> Json | None:
    if session.mode != "payment":
        return None
    return {
        "enabled": session.invoicing,
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": None,
            "metadata": {},
            "rendering_options": None,
        },
    }


def _versioned_session(session: HostedSession) -> Json:
    version = session.customer.version
    where = "embedded" if session.embedding else "hosted"
    if not version.basil:
        return {"shipping_details": None, "ui_mode": where}
    return {
        "collected_information": None,
        "customer_account": session.customer.account_reference,
        "origin_context": None,
        "permissions": None,
        "ui_mode": f"{where}_page" if version.hosted_page else where,
        "wallet_options": None,
    }


def _buyer(session: HostedSession) -> Json:
    # Who buys is on the session only once the page was completed.
    customer = session.customer
    details: Json = {
        "address": address(customer),
        "email": customer.email or None,
        "name": customer.name or None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    is_complete = session.status == "complete"
    return {
        "customer": customer.reference if is_complete or customer.announced else None,
        "customer_details": details if is_complete else None,
        "customer_email": session.customer_email,
    }


def _discounts(session: Session) -> list[Json]:
    drawn: list[Json] = [
        {"coupon": discount.coupon.id, "promotion_code": discount.promotion_id}
        for discount in session.discounts
    ]
    if session.promotion_code:
        drawn.append({"coupon": None, "promotion_code": session.promotion_code})
    return drawn


def _customer_creation(session: Session) -> str | None:
    if session.customer_given:
        return None
    return "if_required" if session.mode == "payment" else "always"


def _automatic_tax(session: HostedSession) -> Json:
    stated = session.stated.get("automatic_tax", {})
    if not stated.get("enabled"):
        return {"enabled": False, "liability": None, "provider": None, "status": None}
    placed = session.status == "complete"
    return {
        **stated,
        "provider": "stripe",
        "status": "complete" if placed else "requires_location_inputs",
    }


def _consent(session: HostedSession) -> Json | None:
    asked = session.stated.get("consent_collection", {})
    if session.status != "complete" or not asked:
        return None
    accepted = "accepted" if asked["terms_of_service"] == "required" else None
    return {"promotions": None, "terms_of_service": accepted}


def _page(session: HostedSession) -> Json:
    is_open = session.status == "open"
    inside = session.embedding
    if inside:
        return {
            "cancel_url": None,
            "client_secret": f"{session.id}_secret_offline" if is_open else None,
            "redirect_on_completion": inside.redirects,
            "return_url": inside.return_url,
            "success_url": None,
            "url": None,
        }
    return {
        "cancel_url": session.cancel_url if session.success_url else _CANCEL_URL,
        "client_secret": None,
        "success_url": session.success_url or _SUCCESS_URL,
        "url": f"https://checkout.stripe.com/c/pay/{session.id}" if is_open else None,
    }


def hosted_session_object(session: HostedSession, own: Json) -> Json:
    """Draw what every session has, whatever it is for; `own` is what its kind has to say."""
    return {
        "id": session.id,
        "object": "checkout.session",
        **_QUIET_SESSION,
        **_versioned_session(session),
        **_buyer(session),
        **_NOTHING_SOLD,
        **_page(session),
        "client_reference_id": session.reference,
        "created": session.created,
        "expires_at": session.expires_at or session.created + LIFETIME_SECONDS,
        "metadata": dict(session.metadata),
        "mode": session.mode,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_status": session.payment_status,
        "status": session.status,
        **own,
        **session.stated,
        "automatic_tax": _automatic_tax(session),
        "consent": _consent(session),
    }


def session_object(session: Session) -> Json:
    """Draw a checkout session that sells, as it stands."""
    payment = session.mode == "payment"
    intent = session.intent if payment else None
    own = {
        "amount_subtotal": session.amount_subtotal,
        "amount_total": session.amount_total,
        "allow_promotion_codes": session.promotion_codes,
        "currency": session.price.currency,
        "customer_creation": _customer_creation(session),
        "discounts": _discounts(session),
        "invoice": session.invoice.id if session.invoice else None,
        "invoice_creation": _invoice_creation(session),
        "payment_intent": intent.id if intent else None,
        "payment_link": session.payment_link,
        "payment_method_collection": "if_required" if payment else "always",
        "payment_method_types": ["card"]
        if session.method_type == "card"
        else ["card", "sepa_debit"],
        "subscription": session.subscription.id if session.subscription else None,
        "total_details": {
            "amount_discount": session.discount,
            "amount_shipping": 0,
            "amount_tax": session.tax,
        },
    }
    return hosted_session_object(session, own)
