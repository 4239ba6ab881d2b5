"""A user who pays for two full plans, among others who do not."""

from tests.pipeline import work
from tests.stripe_objects import a_customer, a_subscription, an_event
from workers.context import WorkerContext


def a_second_plan(context: WorkerContext) -> None:
    """`user_1` has two live full plans, one of them by their customer alone and by its claim alone.

    Beside these they have one that ended and a package; `user_2` has one plan and the package.
    """
    claimed = _of("user_1", "sub_2", price="price_odd", claims="1", created=1_700_000_100)
    link = an_event("customer.created", a_customer(id="cus_2"))
    subscriptions = [
        _of("user_1", "sub_1"),
        claimed | {"customer": "cus_2", "metadata": {"plan_id": "1"}},
        _of("user_1", "sub_3") | {"status": "canceled"},
        # What is known by its price is no plan, whatever it claims.
        _of("user_1", "sub_4", price="price_pack_usd", claims="2"),
        _of("user_2", "sub_5"),
        _of("user_2", "sub_6", price="price_pack_usd"),
    ]
    created = "customer.subscription.created"
    work(context, [link, *(an_event(created, each) for each in subscriptions)])


def _of(
    user: str,
    name: str,
    *,
    price: str = "price_pro_usd",
    claims: str = "4",
    created: int = 1_700_000_000,
) -> dict[str, object]:
    found = a_subscription(
        id=name,
        created=created,
        metadata={"user_id": user, "plan_id": claims},
        customer=f"c_{user}",
    )
    found["items"]["data"][0]["price"]["id"] = price
    return found
