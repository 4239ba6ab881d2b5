"""What becomes of a contract once it runs: its next periods, its changes and its discounts.

Works on contracts of `deals`. No I/O.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

from sandbox.simulate.account import Account
from sandbox.simulate.billing import interval_after, item_line, part_line, remember, whole_line
from sandbox.simulate.contract_records import Line, Price, Subscription
from sandbox.simulate.coupons import Coupon, Discount
from sandbox.simulate.deals import redeem, use_up
from sandbox.simulate.discount_objects import discount_object
from sandbox.simulate.invoice_objects import invoice_object
from sandbox.simulate.objects import subscription_object
from sandbox.simulate.payments import DRAFT_SECONDS
from sandbox.simulate.records import Invoice
from sandbox.simulate.subscriptions import NOTICE_SECONDS


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes other: price, quantity, metadata; None leaves it.

    `bills` says when the difference is billed: `now`, `later` with the next period, or `never`.
    `traced` says whether a credit names the line it gives back, `renames` that the metadata alone
    says which plan is sold: then the new one counts for both lines of the difference.
    """

    price: Price | None = None
    quantity: int | None = None
    metadata: dict[str, str] | None = None
    bills: str = "now"
    traced: bool = True
    renames: bool = False


def cycle(account: Account, subscription: Subscription, *, usage: int = 0) -> Invoice:
    """Begin the next period and bill it, with what was used; collection decides the rest."""
    account.until(subscription.period_end - NOTICE_SECONDS)
    account.announce_end(subscription)
    account.until(subscription.period_end)
    before = subscription_object(subscription)
    used = (subscription.period_start, subscription.period_end)
    subscription.turns += 1
    subscription.period_start = subscription.period_end
    anchor = subscription.anchor or subscription.created
    subscription.period_end = interval_after(subscription, anchor, subscription.turns)
    _end_discounts(account, subscription)
    if subscription.status == "trialing":
        subscription.status = "active"
    account.report(subscription, before)
    before = subscription_object(subscription)
    lines = _period_lines(account, subscription, used, usage)
    invoice = account.new_invoice(
        subscription.customer,
        "subscription_cycle",
        lines,
        subscription,
        discounts=subscription.discounts,
        lists_cut=subscription.lists_cut,
    )
    remember(subscription, invoice.id, lines)
    account.report(subscription, before)
    _collect(account, subscription, invoice)
    return invoice


def alter(account: Account, subscription: Subscription, change: Change) -> Invoice | None:
    """Change what is sold within the period; returns the paid invoice of the difference.

    ValueError when the period is over, and the next one must begin first.
    """
    if account.now >= subscription.period_end:
        raise ValueError(f"{subscription.id}: the period is over, so none of it is left to bill")
    before = subscription_object(subscription)
    lines = _swap(account, subscription, change)
    if change.renames:
        lines = [replace(line, plan=subscription.price.plan) for line in lines]
    if change.metadata is not None:
        subscription.metadata = dict(change.metadata)
    account.report(subscription, before, by_stripe=False)
    if change.bills != "now":
        subscription.pending += lines if change.bills == "later" else []
        return None
    before = subscription_object(subscription)
    invoice = account.new_invoice(
        subscription.customer,
        "subscription_update",
        lines,
        subscription,
        discounts=subscription.discounts,
    )
    remember(subscription, invoice.id, lines)
    account.report(subscription, before)
    account.finalize(invoice)
    account.pay(invoice)
    return invoice


def grant_coupon(
    account: Account, subscription: Subscription, coupon: Coupon, *, promoted: bool = False
) -> None:
    """Take something off a contract that runs already, from its next bill on."""
    before = subscription_object(subscription)
    discount = redeem(account, coupon, promoted=promoted)
    subscription.discounts = [*subscription.discounts, discount]
    _say_discount(account, subscription, discount, "created")
    account.report(subscription, before, by_stripe=False)


def pause_collection(
    account: Account, subscription: Subscription, behavior: str, resumes_at: int | None
) -> None:
    """Stop collecting: invoices become void, stay drafts, or are given up."""
    before = subscription_object(subscription)
    subscription.pause_behavior, subscription.resumes_at = behavior, resumes_at
    subscription.was_paused = True
    account.report(subscription, before, by_stripe=False)


def resume_collection(account: Account, subscription: Subscription) -> None:
    """Collect again, on its date by Stripe itself."""
    by_stripe = subscription.resumes_at is not None
    account.until(subscription.resumes_at or account.now)
    before = subscription_object(subscription)
    subscription.pause_behavior = subscription.resumes_at = None
    account.report(subscription, before, by_stripe=by_stripe)


def extend_trial(account: Account, subscription: Subscription, seconds: int) -> Invoice:
    """Let a trial last longer, which bills nothing once more."""
    before = subscription_object(subscription)
    subscription.period_end += seconds
    subscription.trial_end = subscription.anchor = subscription.period_end
    account.report(subscription, before, by_stripe=False)
    line = whole_line(account, subscription, trial=True)
    customer = subscription.customer
    invoice = account.new_invoice(customer, "subscription_update", [line], subscription)
    account.finalize(invoice)
    account.pay(invoice)
    return invoice


def _period_lines(
    account: Account, subscription: Subscription, used: tuple[int, int], usage: int
) -> list[Line]:
    period = (subscription.period_start, subscription.period_end)
    extras = [
        item_line(account, item, used if item.price.metered else period, usage=usage)
        for item in subscription.more
    ]
    own = whole_line(account, subscription)
    pending, subscription.pending = subscription.pending, []
    place = subscription.place
    return [*pending, *extras[:place], own, *extras[place:]]


def _swap(account: Account, subscription: Subscription, change: Change) -> list[Line]:
    old = subscription.price.plan
    # A period before the first anchor is part of an interval that began before the contract.
    start = interval_after(subscription, subscription.period_end, -1)
    start = subscription.period_start if subscription.turns else start
    share = Fraction(subscription.period_end - account.now, subscription.period_end - start)
    back = _credit(account, subscription, share, traced=change.traced)
    subscription.price = change.price or subscription.price
    if change.quantity is not None:
        subscription.quantity = change.quantity
    new = subscription.price.plan
    if (new.interval, new.interval_count) == (old.interval, old.interval_count):
        return [back, part_line(account, subscription, share, subscription.discounts)]
    subscription.anchor = subscription.period_start = account.now
    subscription.turns = 1
    subscription.period_end = interval_after(subscription, account.now, 1)
    return [back, whole_line(account, subscription)]


def _credit(account: Account, subscription: Subscription, share: Fraction, *, traced: bool) -> Line:
    discounts = subscription.discounts
    billed = subscription.billed
    if subscription.flexible and billed is not None:
        # A flexible contract gives back what was charged, a classic one what would be charged.
        by_id = {discount.id: discount for discount in subscription.discounts}
        on = account.invoices[subscription.billed_on]
        by_id |= {discount.id: discount for discount in on.discounts}
        discounts = [by_id[discount] for discount in billed.discount_ids]
    credited = (subscription.billed_on, (billed.id,)) if billed else None
    line = part_line(account, subscription, -share, discounts, credited)
    # Only the trace tells which way an amount of 0 goes.
    return line if traced or line.amount == 0 else replace(line, credited=None)


def _end_discounts(account: Account, subscription: Subscription) -> None:
    over = [
        discount
        for discount in subscription.discounts
        if discount.end and discount.end <= account.now
    ]
    for discount in over:
        _say_discount(account, subscription, discount, "deleted")
    subscription.discounts = [
        discount for discount in subscription.discounts if discount not in over
    ]


def _say_discount(
    account: Account, subscription: Subscription, discount: Discount, what: str
) -> None:
    customer = subscription.customer
    drawn = discount_object(
        discount,
        customer.version,
        customer_id=customer.reference,
        subscription_id=subscription.id,
    )
    account.emit(f"customer.discount.{what}", drawn, customer, by_stripe=True)


def _collect(account: Account, subscription: Subscription, invoice: Invoice) -> None:
    behavior = subscription.pause_behavior
    if behavior == "keep_as_draft":
        return
    account.wait(DRAFT_SECONDS)
    account.finalize(invoice)
    if behavior == "void":
        account.void(invoice)
    elif behavior == "mark_uncollectible":
        _give_up(account, invoice)
    else:
        account.pay(invoice)
        before = subscription_object(subscription)
        use_up(account, subscription)
        account.report(subscription, before)


def _give_up(account: Account, invoice: Invoice) -> None:
    invoice.status = "uncollectible"
    invoice.uncollectible_at = account.now
    account.expected.unpaid(invoice)
    drawn = invoice_object(invoice)
    account.emit("invoice.marked_uncollectible", drawn, invoice.customer, by_stripe=True)
