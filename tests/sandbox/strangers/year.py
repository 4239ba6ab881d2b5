"""A year in the life of an account: what a shop sees of buyers, with every kind of object."""

from typing import Any

from tests.offline_stripe import ASKS, BROKE, DAY, GOOD, LATER, SUCCESS, Offline

CODE = "SPRING"


def live_a_year(offline: Offline) -> None:
    """Sell, bill, refund and dispute for a year; the account's clock ends a year ahead."""
    quarterly, dear = of_a_quarter(offline, 2900), of_a_quarter(offline, 5900)
    monthly = offline.price(900)
    yearly, package = offline.price(29_000, "year"), offline.price(500, interval=None)
    _subscribers(offline, quarterly, monthly, yearly)
    _discounted(offline, quarterly)
    _buyers(offline, package)
    _over_the_api(offline, quarterly, dear)
    offline.world.advance(40 * DAY)
    _changes(offline, quarterly, dear)
    offline.world.advance(325 * DAY)


def of_a_quarter(offline: Offline, amount: int) -> str:
    """A price that renews every three months: a year has enough of them."""
    period = {"interval": "month", "interval_count": 3}
    return offline.price(amount, interval=None, recurring=period)


def _subscribers(offline: Offline, quarterly: str, monthly: str, yearly: str) -> None:
    for number in range(2):
        offline.subscription(quarterly, offline.customer(f"loyal{number}"))
    offline.subscription(yearly, offline.customer("yearly"))
    offline.subscription(monthly, offline.customer("broke"), LATER)
    trial: Any = {"subscription_data": {"trial_period_days": 14}}
    offline.subscription(quarterly, offline.customer("trial"), **trial)
    asked = offline.session(quarterly, offline.customer("asked"))
    offline.world.pay(asked, BROKE)
    offline.world.pay(asked, ASKS, authenticated=True)
    offline.session(monthly, offline.customer("undecided"))


def _discounted(offline: Offline, quarterly: str) -> None:
    client = offline.client.v1
    coupon = client.coupons.create({"percent_off": 20, "duration": "forever", "name": "Spring"})
    promotion: Any = {"type": "coupon", "coupon": coupon.id}
    client.promotion_codes.create({"promotion": promotion, "code": CODE})
    session = offline.session(quarterly, offline.customer("saver"), allow_promotion_codes=True)
    assert offline.world.apply_code(session, CODE) is None
    offline.world.pay(session, GOOD)


def _buyers(offline: Offline, package: str) -> None:
    client = offline.client.v1
    for number in range(3):
        user = offline.customer(f"buyer{number}")
        terms: Any = {"invoice_creation": {"enabled": True}} if number % 2 else {}
        session = offline.session(package, user, **terms)
        offline.world.pay(session, GOOD)
        if number == 0:
            offline.world.refund(str(client.checkout.sessions.retrieve(session).payment_intent))
        if number == 1:
            invoice = str(client.checkout.sessions.retrieve(session).invoice)
            client.credit_notes.create({"invoice": invoice, "refund_amount": 200})
        if number == 2:
            charged = str(client.checkout.sessions.retrieve(session).payment_intent)
            offline.world.close_dispute(offline.world.dispute(charged), won=False)
    late = offline.session(package, offline.customer("bank"))
    offline.world.pay_delayed(late)


def _over_the_api(offline: Offline, quarterly: str, dear: str) -> None:
    client, user = offline.client.v1, offline.customer("api")
    client.tax_rates.create({"display_name": "VAT", "inclusive": False, "percentage": 19.0})
    default: Any = {"invoice_settings": {"default_payment_method": "pm_card_visa"}}
    client.customers.update(user, default)
    phases: Any = [{"items": [{"price": quarterly}]}, {"items": [{"price": dear}]}]
    plan: Any = {"customer": user, "start_date": "now", "phases": phases}
    client.subscription_schedules.create(plan)
    fee: Any = {"customer": user, "amount": 700, "currency": "usd", "description": "A call"}
    client.invoice_items.create(fee)
    client.setup_intents.create(
        {"customer": user, "payment_method": "pm_card_mastercard", "confirm": True}
    )
    usage: Any = {"formula": "sum"}
    meter = client.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": usage}
    )
    tiered: Any = {
        "currency": "usd",
        "product_data": {"name": "Calls"},
        "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
        "billing_scheme": "tiered",
        "tiers_mode": "volume",
        "tiers": [{"up_to": 100, "flat_amount": 0}, {"up_to": "inf", "unit_amount_decimal": "0.2"}],
    }
    client.prices.create(tiered)
    keeps: Any = {"mode": "setup", "currency": "usd", "success_url": SUCCESS}
    for params in (keeps, keeps | {"customer": user}):
        offline.world.pay(client.checkout.sessions.create(params).id, GOOD)
        client.checkout.sessions.create(params)
    client.payment_intents.create(
        {
            "amount": 1200,
            "currency": "eur",
            "customer": user,
            "payment_method": "pm_card_visa",
            "confirm": True,
            "off_session": True,
        }
    )


def _changes(offline: Offline, quarterly: str, dear: str) -> None:
    client = offline.client.v1
    for contract in client.subscriptions.list({"price": quarterly, "limit": 100}).data:
        customer = client.customers.retrieve(str(contract.customer))
        assert customer.metadata is not None
        match customer.metadata["user_id"]:
            case "loyal0":
                visit = offline.portal(customer.id)
                offline.world.switch_plan(visit, contract.id, dear)
            case "loyal1":
                offline.world.cancel(offline.portal(customer.id), contract.id)
            case "asked":
                client.subscriptions.cancel(contract.id)
