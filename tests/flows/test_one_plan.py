"""Two pages for two plans: one of them can be paid, whatever the buyer does with the other."""

from sandbox.stripe.views import Declined, Paid
from tests.buyers import Buyer
from tests.offline_stripe import GOOD
from tests.shop_floor import BASIC, PRO, SHOP, TRIED, Floor
from workers.questions.superseded import expire_superseded


def test_of_two_open_pages_one_can_be_paid(floor: Floor) -> None:
    """The page that was asked for last; the other has expired before it was shown."""
    ann = Buyer(floor, "ann")
    first, second = ann.checkout(BASIC), ann.checkout(PRO)
    again = ann.checkout(PRO, cancel_url=f"{SHOP}/elsewhere")
    assert [ann.page(each).status for each in (first, second, again)] == [
        "expired",
        "expired",
        "open",
    ]
    world = floor.stripe.world
    for page in (first, second):
        assert isinstance(world.pay(page, GOOD), Declined)
    assert isinstance(world.pay(again, GOOD), Paid)
    assert ann.ask(BASIC).status_code == 409
    floor.settle()
    assert ann.ask(BASIC).status_code == 409
    assert (ann.standing, ann.balance) == (("active", True), 6_000)
    assert [ann.status(each)["status"] for each in (first, again)] == ["expired", "complete"]


def test_a_page_that_was_paid_while_webhooks_are_late_is_the_only_one(floor: Floor) -> None:
    """Stripe does not expire it, and so nothing else is sold."""
    bea = Buyer(floor, "bea")
    page = bea.checkout(BASIC)
    with floor.webhooks_held():
        assert isinstance(floor.stripe.world.pay(page, GOOD), Paid)
        answer = bea.ask(PRO)
        assert (answer.status_code, answer.get_json()["code"]) == (409, "already_subscribed")
    assert (bea.standing, bea.balance) == (("active", True), 2_000)


def test_a_plan_bought_elsewhere_closes_the_page(floor: Floor) -> None:
    """Another application sold it; the page here is expired by the task."""
    cid = Buyer(floor, "cid")
    page = cid.checkout(TRIED)
    customer = floor.stripe.customer("cid")
    floor.stripe.subscription(floor.price_of(PRO), customer, client_reference_id="cid")
    floor.settle()
    assert cid.page(page).status == "open"
    assert expire_superseded(floor.context) == 1
    assert isinstance(floor.stripe.world.pay(page, GOOD), Declined)
    floor.settle()
    assert cid.status(page)["status"] == "expired"
    assert (cid.standing, cid.balance) == (("active", True), 6_000)
