"""However webhooks are delivered, the same story ends in the same tables.

One buyer after the other lives through one story, told calmly to the first; Stripe's deliveries
are doubled, mixed up, put into one second or lost for the others.
"""

from typing import Any

import pytest
from click.testing import CliRunner

from sandbox.stripe.keeper import SwitchTerms
from sandbox.stripe.views import Paid
from tests.buyers import Buyer
from tests.offline_stripe import DAY, GOOD
from tests.shop_floor import BASIC, PACK, PRO, Floor
from workers.commands.reconcile import reconcile

CALM: SwitchTerms = {
    "duplicates": 0.0,
    "shuffle": False,
    "delay_seconds": 0.0,
    "loss": 0.0,
    "same_second": False,
}
# What names one buyer's story and no other's.
_OWN = ("id", "subscription_id", "created_at", "receipt_url")
_MOMENTS = ("current_period_start", "current_period_end", "cancel_at", "canceled_at")

View = dict[str, Any]


def view(buyer: Buyer) -> View:
    """All that the API shows a buyer, without ids and with moments as whether there are any.

    Of the ledger each payment's sum, for its single steps follow the order of arrival.
    """
    payments = buyer.payments
    sums = dict.fromkeys((each["id"] for each in payments), 0)
    for entry in buyer.get("/billing/tokens/ledger/")["items"]:
        sums[entry["payment_id"]] += entry["delta"]
    assert {each["id"]: each["tokens"] for each in payments} == sums
    return {
        "balance": buyer.balance,
        "payments": sorted(
            tuple((key, value) for key, value in each.items() if key not in _OWN)
            for each in payments
        ),
        "subscriptions": [
            {
                key: bool(value) if key in _MOMENTS else value
                for key, value in each.items()
                if key not in _OWN
            }
            for each in buyer.subscriptions
        ],
    }


def begin(buyer: Buyer) -> None:
    """Buy a package and a plan, change to a larger one, and have some money returned."""
    world, floor = buyer.floor.stripe.world, buyer.floor
    package, plan = buyer.checkout(PACK), buyer.checkout(BASIC)
    assert isinstance(world.pay(package, GOOD), Paid)
    charge = buyer.charge.charge_id
    assert isinstance(world.pay(plan, GOOD), Paid)
    visit = buyer.visit()
    [contract] = buyer.portal(visit).subscriptions
    world.advance((contract.period_end - world.now) // 2)
    assert isinstance(world.switch_plan(visit, contract.id, floor.price_of(PRO)), Paid)
    world.refund(charge, 100)
    failing = world.refund(charge, 200)
    world.finish_refund(failing, succeeds=False)
    world.cancel(visit, contract.id)
    world.undo_cancel(visit, contract.id)


def end(buyer: Buyer) -> None:
    """Renew, dispute that and win, let the plan go at the end of the next period."""
    world = buyer.floor.stripe.world
    visit = buyer.visit()
    [contract] = buyer.portal(visit).subscriptions
    world.advance(contract.period_end - world.now)
    dispute = world.dispute(buyer.charge.charge_id)
    world.advance(DAY)
    world.close_dispute(dispute, won=True)
    world.cancel(visit, contract.id)
    world.advance(32 * DAY)


def live(buyer: Buyer) -> tuple[View, View]:
    """The whole story; what the API shows in the middle and at the end of it.

    Events alone must tell it: Stripe is asked nothing.
    """
    begin(buyer)
    buyer.floor.settle(asks=False)
    middle = view(buyer)
    end(buyer)
    buyer.floor.settle(asks=False)
    return middle, view(buyer)


@pytest.fixture(scope="module")
def calm(shop_of_module: Floor) -> tuple[View, View]:
    """What the story comes to when every event arrives once and in order."""
    return live(Buyer(shop_of_module, "calm"))


def test_the_story_itself_comes_to_what_its_steps_say(calm: tuple[View, View]) -> None:
    """Half of two plans, a package less a fifth, then a renewal whose dispute was won."""
    middle, last = calm
    assert middle["balance"] == 2_000 + 2_000 + 800
    assert last["balance"] == 2_000 + 2_000 + 800 + 6_000
    [running], [ended] = middle["subscriptions"], last["subscriptions"]
    assert (running["status"], running["plan_id"], running["cancel_at"]) == ("active", PRO, False)
    assert (ended["status"], ended["plan_id"]) == ("canceled", PRO)
    shown = [dict(payment) for payment in last["payments"]]
    assert sorted((each["amount"], each["status"]) for each in shown) == [
        (500, "partially_refunded"),
        (1_500, "paid"),
        (2_000, "paid"),
        (5_000, "paid"),
    ]


@pytest.mark.parametrize(
    "switches",
    [
        {"duplicates": 1.0},
        {"shuffle": True},
        {"same_second": True},
        {"duplicates": 0.5, "shuffle": True, "same_second": True},
    ],
    ids="+".join,
)
def test_a_disturbed_delivery_ends_in_the_same_tables(
    floor: Floor, calm: tuple[View, View], switches: SwitchTerms
) -> None:
    """In the middle of the story and at its end."""
    floor.stripe.world.set_switches(**switches)
    try:
        assert live(Buyer(floor, "+".join(switches))) == calm
    finally:
        floor.stripe.world.set_switches(**CALM)


def test_what_was_lost_is_brought_in_by_reconciling(
    floor: Floor, calm: tuple[View, View], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one webhook of the story arrives; Stripe's own list has them all."""
    for name, value in floor.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BILLING_DATA", "/nowhere")
    lost = Buyer(floor, "lost")

    def bring_in() -> View:
        floor.settle()
        done = CliRunner().invoke(reconcile, ["--since", "3d"])
        assert done.exit_code == 0, done.output
        floor.worker.send_wake_up()
        floor.settle()
        return view(lost)

    floor.stripe.world.set_switches(loss=1.0)
    try:
        begin(lost)
        assert lost.balance == 0
        middle = bring_in()
        end(lost)
        assert (middle, bring_in()) == calm
    finally:
        floor.stripe.world.set_switches(**CALM)
