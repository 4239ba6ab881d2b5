"""Checkout sessions in `setup` mode: what a request says of one."""

from sandbox.simulate.contract_records import Customer
from sandbox.simulate.records import Embedding
from sandbox.stripe.api.calls import Call
from sandbox.stripe.api.collecting import collected
from sandbox.stripe.api.parameters import merged
from sandbox.stripe.errors import invalid
from sandbox.stripe.paying.setup_sessions import SetupSession
from sandbox.stripe.paying.setups import Setup


def open_setup_session(
    call: Call, customer: Customer | None, lives_seconds: int, embedding: Embedding | None
) -> SetupSession:
    """Open the page that a request asks for; a customer who is not named may be made by it."""
    params, shop = call.params, call.shop
    if not (params.get("currency") or params.get("payment_method_types")):
        message = "You must specify `currency` or `payment_method_types` in `setup` mode."
        raise invalid(message, "currency", "parameter_missing")
    email, always = params.get("customer_email"), params.get("customer_creation") == "always"
    kinds = params.get("payment_method_types") or ["card"]
    session = SetupSession(
        id=shop.new_id("cs_test", 58),
        customer=customer or shop.add_customer(email=email or "", guest=not always),
        created=shop.now,
        metadata=merged(None, params.get("metadata", {})),
        reference=params.get("client_reference_id"),
        expires_at=params.get("expires_at") or shop.now + lives_seconds,
        deadline=shop.now + lives_seconds,
        success_url=params.get("success_url") or "",
        cancel_url=params.get("cancel_url"),
        embedding=embedding,
        customer_given=customer is not None,
        customer_email=email,
        stated=collected(params, customer) | {"payment_method_types": kinds},
        setup=_setup_of(call, customer, kinds),
        currency=params.get("currency"),
    )
    shop.open_setup_session(session)
    return session


def _setup_of(call: Call, customer: Customer | None, kinds: list[str]) -> Setup:
    data = call.params.get("setup_intent_data", {})
    return Setup(
        id=call.shop.new_id("seti"),
        created=call.shop.now,
        customer=customer,
        metadata=merged(None, data.get("metadata", {})),
        stated={"description": data.get("description"), "payment_method_types": kinds},
    )


def check_is_free(call: Call, setup: Setup) -> None:
    """Refuse what only the page of a setup intent's session may do."""
    if any(session.setup is setup for session in call.shop.every(SetupSession)):
        message = "You cannot perform this action on SetupIntents created by Checkout."
        raise invalid(message, None, "setup_intent_unexpected_state")
