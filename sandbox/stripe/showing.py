"""Draws what the pages show from the account's records. Reads only."""

from collections.abc import Iterable

from domain.money import money
from sandbox.simulate.contract_records import Customer, Price, Subscription
from sandbox.simulate.coupons import Coupon
from sandbox.simulate.money_records import Charge
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import HostedSession, Invoice, Session
from sandbox.stripe.agenda import Shop
from sandbox.stripe.configurations import configuration
from sandbox.stripe.contracts import RUNNING
from sandbox.stripe.goods import Product, Visit
from sandbox.stripe.log import Posted
from sandbox.stripe.paying.setup_sessions import AnySession, SetupSession
from sandbox.stripe.portals import PortalConfiguration
from sandbox.stripe.views import (
    Checkout,
    CustomerLine,
    DebitLine,
    EventLine,
    PaymentLine,
    PlanOption,
    Portal,
    PortalInvoice,
    PortalSubscription,
    SubscriptionLine,
)

# What a list of the dashboard has at most.
SHOWN = 50


def after_payment(session: HostedSession) -> str:
    """Where the buyer goes once the session is complete; empty where they stay."""
    inside, url = session.embedding, session.success_url
    if inside:
        url = (inside.redirects == "always" and inside.return_url) or ""
    return url.replace("{CHECKOUT_SESSION_ID}", session.id)


def checkout(shop: Shop, session: AnySession) -> Checkout:
    """Draw a session for its page."""
    return _keeping(session) if isinstance(session, SetupSession) else _selling(shop, session)


def _keeping(session: SetupSession) -> Checkout:
    return Checkout(
        session_id=session.id,
        status=session.status,
        mode=session.mode,
        email=session.customer.email,
        success_url=after_payment(session),
        cancel_url=session.cancel_url or "",
        takes_card="card" in session.method_types,
        takes_debit="sepa_debit" in session.method_types,
    )


def _selling(shop: Shop, session: Session) -> Checkout:
    price = session.price
    product = shop.get(Product, price.product)
    return Checkout(
        session_id=session.id,
        status=session.status,
        mode=session.mode,
        product_name=price.plan.name,
        description=(product.description if product else None) or "",
        amount_minor=sum(
            pick.amount
            for pick in session.picks
            if pick.price.plan.recurring or session.mode == "payment"
        ),
        currency=price.currency,
        interval=_interval(price.plan),
        trial_days=session.trial_days,
        email=session.customer.email,
        success_url=after_payment(session),
        cancel_url=session.cancel_url or "",
        things=tuple(
            (
                f"{pick.quantity} x {pick.price.plan.name}"
                if pick.quantity > 1
                else pick.price.plan.name,
                pick.amount,
            )
            for pick in session.picks
        ),
        due_minor=session.amount_total,
        discount_minor=session.discount,
        discount_name=" and ".join(_named(discount.coupon) for discount in session.discounts),
        takes_code=bool(session.promotion_codes) and not session.discounts,
        takes_card="card" in session.method_types,
        takes_debit="sepa_debit" in session.method_types,
        submit_type=session.stated.get("submit_type"),
    )


def _named(coupon: Coupon) -> str:
    what = (
        f"{coupon.percent_off}%"
        if coupon.percent_off
        else money(coupon.amount_off, coupon.currency)
    )
    times = {"once": "once", "forever": "every time"}
    return f"{what} off, {times.get(coupon.duration, f'for {coupon.months} months')}"


def _interval(plan: Plan) -> str | None:
    several = plan.interval_count > 1
    return f"{plan.interval_count} {plan.interval}s" if several else plan.interval


def portal(shop: Shop, visit: Visit) -> Portal:
    """Draw a visit for the portal's pages."""
    customer, offered = visit.customer, offer_of(shop, visit)
    return Portal(
        return_url=visit.return_url or "",
        email=customer.email,
        name=customer.name,
        flow=visit.flow,
        flow_subscription=visit.flow_subscription,
        subscriptions=tuple(
            _subscription(shop, record, offered)
            for record in shop.every(Subscription)
            if record.customer is customer
        ),
        invoices=tuple(
            _invoice(record)
            for record in shop.every(Invoice)
            if record.customer is customer and record.status != "draft"
        ),
        card_last4=customer.card_last4 or None,
        after_flow=visit.after_flow,
        cancel_moments=offered.cancel_moments,
        switches=offered.switches,
        takes_card=offered.features["payment_method_update"]["enabled"],
        shows_invoices=offered.features["invoice_history"]["enabled"],
    )


def offer_of(shop: Shop, visit: Visit) -> PortalConfiguration:
    """What a visit offers. Raises `KeyError` where its configuration is no longer there."""
    found = configuration(shop, visit.configuration_id)
    if found is None:
        raise KeyError(visit.configuration_id)
    return found


def options(shop: Shop, subscription: Subscription, offered: PortalConfiguration) -> list[Price]:
    """The prices that a subscription can be switched to, cheapest first."""
    if not offered.switches:
        return []
    options = [
        sold
        for price in shop.every(Price)
        if price.active
        and price.sellable
        and price.plan.recurring
        and (sold := price.sold_in(subscription.price.currency))
        and price is not subscription.price.listed
        and (offered.price_ids is None or price.id in offered.price_ids)
        and ((product := shop.get(Product, price.product)) is None or product.active)
    ]
    return sorted(options, key=lambda price: price.unit_minor)


def _subscription(
    shop: Shop, subscription: Subscription, offered: PortalConfiguration
) -> PortalSubscription:
    price = subscription.price
    running = subscription.status in RUNNING
    return PortalSubscription(
        id=subscription.id,
        product_name=price.plan.name,
        amount_minor=price.unit_minor * subscription.quantity,
        currency=price.currency,
        interval=_interval(price.plan) or "",
        status=subscription.status,
        period_end=subscription.period_end,
        cancel_at_period_end=subscription.cancel_at_period_end
        or (running and subscription.cancel_at is not None),
        cancel_at=subscription.cancel_at,
        trial_end=subscription.trial_end,
        options=tuple(
            PlanOption(
                price_id=other.id,
                product_name=other.plan.name,
                amount_minor=other.unit_minor * subscription.quantity,
                interval=_interval(other.plan) or "",
            )
            for other in (options(shop, subscription, offered) if running else ())
        ),
    )


def _invoice(invoice: Invoice) -> PortalInvoice:
    return PortalInvoice(
        id=invoice.id,
        number=invoice.number,
        created=invoice.created,
        amount_minor=invoice.total,
        currency=invoice.currency,
        status=invoice.status,
        payable=payable(invoice),
    )


def payable(invoice: Invoice) -> bool:
    """Whether a card can pay it now: it is open, and no bank debit is on its way."""
    intent = invoice.intent
    return invoice.status == "open" and (intent is None or intent.status != "processing")


def customers(shop: Shop) -> tuple[CustomerLine, ...]:
    """The newest customers."""
    customers = [
        customer for customer in shop.every(Customer) if not customer.guest and not customer.deleted
    ][:SHOWN]
    return tuple(
        CustomerLine(
            id=customer.id,
            name=customer.name or customer.user_id,
            email=customer.email,
            created=customer.created,
            card_last4=customer.card_last4 or None,
            subscriptions=sum(
                one.customer is customer and one.status in RUNNING
                for one in shop.every(Subscription)
            ),
        )
        for customer in customers
    )


def subscriptions(shop: Shop) -> tuple[SubscriptionLine, ...]:
    """The newest subscriptions."""
    newest = list(shop.every(Subscription))[:SHOWN]
    return tuple(
        SubscriptionLine(
            id=one.id,
            buyer=one.customer.name or one.customer.user_id or one.customer.email,
            product_name=one.price.plan.name,
            status=one.status,
            period_end=one.period_end,
            ends=one.cancel_at if one.ended_at is None else one.ended_at,
        )
        for one in newest
    )


def payments(shop: Shop) -> tuple[PaymentLine, ...]:
    """The newest charges."""
    return tuple(
        PaymentLine(
            charge_id=charge.id,
            customer_id=charge.intent.customer.reference,
            created=charge.created,
            description=charge.intent.description,
            amount_minor=charge.intent.amount,
            refunded_minor=charge.amount_refunded,
            currency=charge.intent.currency,
            status=charge.status,
            disputed=charge.disputed,
        )
        for charge in list(shop.every(Charge))[:SHOWN]
    )


def debits(shop: Shop) -> tuple[DebitLine, ...]:
    """The bank debits that are on their way."""
    return tuple(
        DebitLine(session.id, session.intent.amount, session.intent.currency, session.deadline)
        for session in shop.every(Session)
        if session.intent is not None and session.intent.status == "processing"
    )[:SHOWN]


def events(posted: Iterable[Posted]) -> tuple[EventLine, ...]:
    """What became of some events."""
    return tuple(
        EventLine(
            id=one.event.id,
            type=one.event.type,
            created=one.event.created,
            delivery=one.delivery,
            attempts=one.attempts,
            answer=one.answer,
        )
        for one in posted
    )
