"""What a buyer agrees to beyond one plan at its own price, and how such a contract is signed."""

from dataclasses import dataclass
from fractions import Fraction

from sandbox.simulate.account import Account
from sandbox.simulate.billing import interval_after, item_line, part_line, remember, whole_line
from sandbox.simulate.contract_records import Customer, Item, Line, Price, Subscription
from sandbox.simulate.coupons import Coupon, Discount
from sandbox.simulate.engine import after_interval
from sandbox.simulate.lines import fee_line
from sandbox.simulate.objects import subscription_object
from sandbox.simulate.packages import contract_metadata, purchase_metadata
from sandbox.simulate.payment_objects import card_object
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Session
from sandbox.simulate.scene import DAY

# What a contract of each mode says of discounts on parts of a period.
_PRORATION_DISCOUNTS = {"classic": None, "included": "included", "itemized": "itemized"}


@dataclass(frozen=True, slots=True)
class Extra:
    """An item beside the plan: metered, or licensed at a quantity; `plan` is what it sells.

    `first` lists it before the plan's own item.
    """

    name: str
    unit_minor: int
    quantity: int | None = None
    price_id: str = ""
    plan: Plan | None = None
    first: bool = False


@dataclass(frozen=True, slots=True)
class Deal:
    """The terms of one contract; amounts are minor units of `currency`, or of the buyer's."""

    plan: Plan
    quantity: int = 1
    quantity_decimal: str | None = None
    inline: bool = False
    unit_minor: int | None = None
    currency: str = ""
    coupons: tuple[Coupon, ...] = ()
    promoted: bool = False
    # How parts of a period are billed: `classic`, or flexible with discounts `included` in the
    # amount or `itemized` beside it.
    mode: str = "classic"
    fee_minor: int = 0
    fee_price_id: str = ""
    extras: tuple[Extra, ...] = ()
    trial_days: int = 0
    # Days until the billing anchor, and whether the time before it is billed or a gift.
    anchor_days: int = 0
    bills_part: bool = False
    # A Payment Link says nothing of us but the reference in its address.
    by_link: bool = False
    # Whether anything tells which plan the item sells.
    sold: bool = True
    # How many lines and items an event shows before it cuts the list; None shows all.
    lists_cut: int | None = None


def sign(account: Account, customer: Customer, deal: Deal) -> Subscription:
    """Complete a checkout with a contract: its first invoice is paid, or costs nothing."""
    session = _session(account, customer, deal)
    account.wait(account.chance.randint(30, 120))
    account.announce(customer)
    subscription = _contract(account, session, deal)
    session.discounts = tuple(subscription.discounts)
    lines = _first_lines(account, subscription, deal)
    account.emit("payment_method.attached", card_object(customer, account.now), customer)
    invoice = account.new_invoice(
        customer,
        "subscription_create",
        lines,
        subscription,
        discounts=session.discounts,
        lists_cut=deal.lists_cut,
    )
    session.invoice = invoice
    account.say(subscription, "created", by_stripe=False)
    before = subscription_object(subscription)
    account.finalize(invoice)
    account.pay(invoice)
    subscription.status = "trialing" if deal.trial_days else "active"
    use_up(account, subscription)
    account.report(subscription, before)
    before = subscription_object(subscription)
    subscription.method_id = customer.method_id
    account.report(subscription, before)
    remember(subscription, invoice.id, lines)
    session.subscription = subscription
    session.amount_subtotal, session.amount_total = invoice.subtotal, invoice.total
    account.complete(session, "paid" if session.amount_total else "no_payment_required")
    return subscription


def price_for(account: Account, deal: Deal, currency: str) -> Price:
    """Return the catalogue's price, or one of its own where the deal differs from it."""
    plan = deal.plan
    unit_minor = plan.prices[currency] if deal.unit_minor is None else deal.unit_minor
    price_id = ""
    if not deal.inline:
        # A price of several currencies is known by its id, whatever it is paid in.
        foreign = min(plan.price_ids.values(), default="")
        price_id = plan.price_ids.get(currency, "" if currency in plan.prices else foreign)
    is_in_catalogue = bool(price_id)
    return Price(
        price_id or account.new_id("price"),
        plan,
        currency,
        unit_minor,
        is_in_catalogue,
        account.now,
    )


def redeem(account: Account, coupon: Coupon, *, promoted: bool) -> Discount:
    """Put a coupon to use from now on."""
    end = after_interval(account.now, "month", coupon.months) if coupon.months else None
    code = account.new_id("promo") if promoted else None
    return Discount(account.new_id("di"), coupon, account.now, end, code)


def use_up(account: Account, subscription: Subscription) -> None:
    """End the discounts that have been used for the last time."""
    subscription.discounts = [
        discount
        for discount in subscription.discounts
        if discount.coupon.duration != "once"
        and (discount.end is None or discount.end > account.now)
    ]


def _session(account: Account, customer: Customer, deal: Deal) -> Session:
    price = price_for(account, deal, deal.currency or customer.currency)
    ours = not deal.by_link
    return Session(
        id=account.new_id("cs_test", 58),
        customer=customer,
        mode="subscription",
        price=price,
        quantity=deal.quantity,
        created=account.now,
        metadata=purchase_metadata(customer, deal.plan) if ours else {},
        reference=customer.user_id,
        contract_metadata=contract_metadata(customer, deal.plan) if ours else {},
        amount_subtotal=0,
        amount_total=0,
        trial_days=deal.trial_days,
        promotion_codes=deal.promoted or None,
        payment_link=None if ours else account.new_id("plink"),
    )


def _contract(account: Account, session: Session, deal: Deal) -> Subscription:
    now, plan = account.now, deal.plan
    trial_end = now + deal.trial_days * DAY if deal.trial_days else None
    anchor = trial_end or (now + deal.anchor_days * DAY if deal.anchor_days else now)
    # Among equal items the first by its id is the one that a claim means.
    ids = sorted(account.new_id("si", 14) for _ in range(1 + len(deal.extras)))
    one_interval = after_interval(now, plan.interval or "month", plan.interval_count)
    subscription = Subscription(
        id=account.new_id("sub"),
        item_id=ids[0],
        customer=session.customer,
        price=session.price,
        quantity=deal.quantity,
        quantity_decimal=deal.quantity_decimal,
        created=now,
        period_start=now,
        period_end=one_interval if anchor == now else anchor,
        turns=1 if anchor == now else 0,
        anchor=anchor,
        status="trialing" if trial_end else "incomplete",
        flexible=deal.mode != "classic",
        proration_discounts=_PRORATION_DISCOUNTS[deal.mode],
        metadata=dict(session.contract_metadata),
        trial_start=now if trial_end else None,
        trial_end=trial_end,
        sold=deal.sold,
        lists_cut=deal.lists_cut,
        place=sum(extra.first for extra in deal.extras),
        discounts=[redeem(account, coupon, promoted=deal.promoted) for coupon in deal.coupons],
    )
    extras = sorted(deal.extras, key=lambda extra: not extra.first)
    subscription.more = [
        _item(account, subscription, extra, item_id)
        for extra, item_id in zip(extras, ids[1:], strict=True)
    ]
    account.keep(subscription)
    account.expected.subscribed(subscription)
    return subscription


def _item(account: Account, subscription: Subscription, extra: Extra, item_id: str) -> Item:
    plan, currency = subscription.price.plan, subscription.price.currency
    if extra.plan is not None:
        price = account.price(extra.plan, currency)
        return Item(item_id, price, extra.quantity, extra.plan)
    unit_minor = extra.unit_minor
    sold = Plan(
        0,
        "extra",
        extra.name,
        0,
        plan.interval,
        {currency: unit_minor},
        interval_count=plan.interval_count,
    )
    price_id = extra.price_id or account.new_id("price")
    price = Price(price_id, sold, currency, unit_minor, known=False, created=account.now)
    price.metered = extra.quantity is None
    price.product_id = f"prod_{item_id}"
    return Item(item_id, price, extra.quantity)


def _first_lines(account: Account, subscription: Subscription, deal: Deal) -> list[Line]:
    period = (subscription.period_start, subscription.period_end)
    trial, waits = deal.trial_days > 0, deal.anchor_days > 0
    extras = [item_line(account, item, period, trial=trial) for item in subscription.more]
    if waits and deal.bills_part:
        start = interval_after(subscription, subscription.period_end, -1)
        share = Fraction(subscription.period_end - account.now, subscription.period_end - start)
        own = part_line(account, subscription, share, subscription.discounts)
    else:
        own = whole_line(account, subscription, trial=trial, free=waits)
    lines = [*extras[: subscription.place], own, *extras[subscription.place :]]
    if deal.fee_minor:
        price_id = deal.fee_price_id or account.new_id("price")
        currency = subscription.price.currency
        line_id = account.new_id("il")
        lines.append(fee_line(line_id, price_id, currency, deal.fee_minor, account.now))
    return lines
