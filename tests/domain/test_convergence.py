"""Any order, any duplicates, any batches: one end. Proved on generated account stories."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.decode.facts import Fact
from tests.examples import examples
from tests.play import Player, Tables, facts_of, play
from tests.stripe_objects import (
    NEW,
    OLD,
    a_charge,
    a_dispute,
    a_line,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
    an_invoice_payment,
)

Event = dict[str, Any]
EXHAUSTIVE_UP_TO = 6
PRO_TOKENS, PRO_USD = 10_000, 2_900
PACK_TOKENS, PACK_USD = 1_000, 500


class Story:
    """What happened to some payments, as events, with the net tokens it must come to."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.expected: Counter[str] = Counter()

    def tell(self, event_type: str, found: Event, shape: str, created: int) -> None:
        """One more event."""
        name = f"evt_{len(self.events):03}"
        event = an_event(
            event_type, found, api_version=shape, created=created, event_id=name, previous={}
        )
        self.events.append(event)


@st.composite
def takings(draw: st.DrawFn, paid: int) -> tuple[list[tuple[int, bool]], list[tuple[int, bool]]]:
    """Refunds (amount, failed later) and disputes (amount, won later) of one payment."""
    amounts = st.integers(1, paid)
    refunds = draw(st.lists(st.tuples(amounts, st.booleans()), max_size=2))
    disputes = draw(st.lists(st.tuples(amounts, st.booleans()), max_size=1))
    return refunds, disputes


def net(gross: int, taken: int, paid: int) -> int:
    """Contract §5, written down once more and independently: rounded up, in whole numbers."""
    taken = min(taken, paid)
    lost, rest = divmod(gross * taken, paid)
    return gross - lost - (1 if rest else 0)


def tell_takings(
    story: Story,
    key: str,
    shape: str,
    found: tuple[list[tuple[int, bool]], list[tuple[int, bool]]],
) -> int:
    """Tell of refunds and disputes of intent `pi_<key>`; returns what stays taken."""
    refunds, disputes = found
    cumulative, taken = 0, 0
    references = {"payment_intent": f"pi_{key}", "charge": f"ch_{key}"}
    for number, (amount, fails) in enumerate(refunds):
        refund = a_refund(id=f"re_{key}_{number}", amount=amount, **references)
        cumulative += amount
        if shape == OLD:
            charge = a_charge(
                id=f"ch_{key}",
                payment_intent=f"pi_{key}",
                customer=None,
                amount_refunded=cumulative,
            )
            story.tell("charge.refunded", charge, shape, 1_000 + number)
        else:
            story.tell("refund.created", refund, shape, 1_000 + number)
        if fails:
            name = "charge.refund.updated" if shape == OLD else "refund.failed"
            story.tell(name, refund | {"status": "failed"}, shape, 2_000 + number)
        else:
            taken += amount
    for number, (amount, won) in enumerate(disputes):
        dispute = a_dispute(id=f"dp_{key}_{number}", amount=amount, **references)
        story.tell("charge.dispute.created", dispute, shape, 3_000)
        story.tell("charge.dispute.funds_withdrawn", dispute, shape, 3_000)
        if won:
            story.tell("charge.dispute.funds_reinstated", dispute, shape, 4_000)
        else:
            taken += amount
    return taken


@st.composite
def package_stories(draw: st.DrawFn, key: str, user: str) -> Story:
    """One-time packages: with or without a customer, an intent, an invoice, a delay."""
    story = Story()
    shape = draw(st.sampled_from([OLD, NEW]))
    customer = draw(st.sampled_from([None, f"cus_{user}"]))
    invoice = f"in_{key}" if draw(st.booleans()) else None
    intent = an_intent_of(key, customer, PACK_USD)
    session = a_session(
        id=f"cs_{key}",
        customer=customer,
        invoice=invoice,
        payment_intent=f"pi_{key}",
        client_reference_id=user,
        metadata={"user_id": user, "plan_id": "4"},
    )
    if draw(st.booleans()):
        story.tell("checkout.session.completed", session | {"payment_status": "unpaid"}, shape, 100)
        story.tell("checkout.session.async_payment_succeeded", session, shape, 200)
    else:
        story.tell("checkout.session.completed", session, shape, 100)
    story.tell("payment_intent.succeeded", intent, shape, 100)
    if invoice:
        line = a_line(PACK_USD, "price_pack_usd", api_version=shape, subscription=None)
        found = an_invoice(
            [line],
            id=invoice,
            api_version=shape,
            subscription=None,
            customer=customer,
            payment_intent=f"pi_{key}",
            billing_reason="manual",
        )
        story.tell("invoice.paid", found, shape, 100)
    taken = tell_takings(story, key, shape, draw(takings(PACK_USD)))
    story.expected[user] += net(PACK_TOKENS, taken, PACK_USD)
    return story


def an_intent_of(key: str, customer: str | None, amount: int) -> Event:
    """A succeeded intent named after its payment."""
    return an_intent(id=f"pi_{key}", customer=customer, amount=amount, amount_received=amount)


@st.composite
def renewal_stories(draw: st.DrawFn, key: str, user: str) -> Story:
    """A subscription: its link to the user, some paid invoices, an end, and takings."""
    story = Story()
    shape = draw(st.sampled_from([OLD, NEW]))
    customer = f"cus_{key}"
    subscription = a_subscription(
        api_version=shape,
        id=f"sub_{key}",
        customer=customer,
        metadata={"user_id": user, "plan_id": "2"},
    )
    story.tell("customer.subscription.created", subscription, shape, 50)
    for period in range(draw(st.integers(1, 2))):
        name = f"{key}{period}"
        quantity = draw(st.integers(1, 3))
        amount = PRO_USD * quantity
        line = a_line(
            amount,
            draw(st.sampled_from(["price_pro_usd", "price_inline"])),
            api_version=shape,
            quantity=quantity,
            subscription=f"sub_{key}",
        )
        invoice = an_invoice(
            [line],
            id=f"in_{name}",
            api_version=shape,
            subscription=f"sub_{key}",
            customer=customer,
            payment_intent=f"pi_{name}",
        )
        if draw(st.booleans()):
            unpaid = invoice | {"status": "open", "amount_paid": 0}
            story.tell("invoice.payment_failed", unpaid, shape, 100 + period)
        story.tell("invoice.paid", invoice, shape, 200 + period)
        if shape == NEW:
            link = an_invoice_payment(f"in_{name}", f"pi_{name}")
            story.tell("invoice_payment.paid", link, shape, 200 + period)
        taken = tell_takings(story, name, shape, draw(takings(amount)))
        story.expected[user] += net(PRO_TOKENS * quantity, taken, amount)
    if draw(st.booleans()):
        ended = subscription | {"status": "canceled"}
        story.tell("customer.subscription.deleted", ended, shape, 5_000)
    return story


@st.composite
def account_stories(draw: st.DrawFn) -> Story:
    """Several payments of two users, told as one."""
    whole = Story()
    kinds = st.sampled_from([package_stories, renewal_stories])
    for number in range(draw(st.integers(1, 3))):
        user = draw(st.sampled_from(["ann", "bob"]))
        part = draw(draw(kinds)(key=f"{number}{user[0]}", user=user))
        for event in part.events:
            whole.events.append(event | {"id": f"evt_{len(whole.events):03}"})
        whole.expected += part.expected
    return whole


def shuffled(draw: Callable[..., Any], events: Sequence[Event]) -> list[Event]:
    """The events as Stripe may deliver them: any order, any of them more than once."""
    repeats = draw(st.lists(st.sampled_from(list(events)), max_size=6))
    return list(draw(st.permutations([*events, *repeats])))


@examples(300)
@given(data=st.data())
def test_any_order_and_any_duplicates_reach_the_same_tables(data: st.DataObject) -> None:
    """The whole of law 3, and the net of contract §5 worked out from the story."""
    story = data.draw(account_stories())
    delivered = shuffled(data.draw, story.events)
    tables = play(delivered)
    assert tables == play(story.events)
    assert tables.balances == {user: total for user, total in story.expected.items() if total}


def ends_of_every_order(
    player: Player, told: Sequence[Sequence[tuple[str, Fact]]]
) -> Iterator[Tables]:
    """The tables after each order of these events; what orders begin alike is played once."""
    if not told:
        yield player.tables()
    for at, facts in enumerate(told):
        further = player.copy()
        further.learn(facts)
        yield from ends_of_every_order(further, [*told[:at], *told[at + 1 :]])


@examples(15)
@given(story=account_stories())
def test_every_order_of_a_short_story_reaches_the_same_tables(story: Story) -> None:
    """No sampling: all permutations of the first events of a story."""
    events = story.events[:EXHAUSTIVE_UP_TO]
    ends = list(ends_of_every_order(Player(), [facts_of(event) for event in events]))
    assert ends == [play(events)] * math.factorial(len(events))


@examples(150)
@given(data=st.data())
def test_batches_of_any_size_reach_the_same_tables(data: st.DataObject) -> None:
    """A batch merges first and derives once; that must not show."""
    story = data.draw(account_stories())
    delivered = shuffled(data.draw, story.events)
    player = Player()
    while delivered:
        size = data.draw(st.integers(1, 6))
        player.apply(*delivered[:size])
        delivered = delivered[size:]
    assert player.tables() == play(story.events)


@examples(150)
@given(data=st.data())
def test_at_every_step_the_ledger_sums_to_the_net_of_every_payment(data: st.DataObject) -> None:
    """What was posted for a payment's objects is what the payment stands for, at any moment."""
    story = data.draw(account_stories())
    player = Player()
    for event in shuffled(data.draw, story.events):
        player.apply(event)
        tables = player.tables()
        worth: Counter[str] = Counter()
        for payment in tables.payments.values():
            if payment.user_id:
                worth[payment.user_id] += payment.tokens
        assert tables.balances == {user: total for user, total in worth.items() if total}


@examples(100)
@given(story=account_stories())
def test_replaying_everything_posts_nothing(story: Story) -> None:
    """An event applied again is the same knowledge again."""
    player = Player()
    for event in story.events:
        player.apply(event)
    posted = len(player.entries)
    for event in story.events:
        player.apply(event)
    player.apply(*story.events)
    assert len(player.entries) == posted
