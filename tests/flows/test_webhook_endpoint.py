"""Our endpoint at Stripe in the hands of an operator: commands, receiver and worker for real.

Only Stripe is played, by the offline one.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from domain.decode import DECODERS
from sandbox.stripe.destinations import Destination
from tests.installation import Installation, installation, wait_until
from tests.offline_stripe import GOOD
from tests.pipeline import balances, empty, empty_redis, sell
from tests.play import CATALOGUE
from workers.operations.audit import Finding, audit

ACACIA, ENDIVE = "2025-02-24.acacia", "2026-10-28.endive"
WORDS = "webhook_endpoint"
PRO_USD, PRO_TOKENS = 2_900, 10_000


# Each starts some ten commands in processes of their own.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def shop(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Installation]:
    """An installation with a catalogue and nothing else."""
    empty_redis(redis_url)
    with installation(database_url, redis_url, tmp_path) as opened:
        empty(opened.context.engine)
        sell(opened.context.engine, CATALOGUE)
        yield opened


def endpoints(shop: Installation) -> list[Destination]:
    """The account's endpoints."""
    return list(shop.offline.world.destinations)


def buy(shop: Installation, user: str) -> tuple[str, str]:
    """Subscribe to the pro plan; the customer and the subscription."""
    customer = shop.offline.customer(user)
    metadata = {"metadata": {"user_id": user, "plan_id": "2"}}
    price = shop.offline.price(PRO_USD)
    more: dict[str, Any] = {"subscription_data": metadata, "client_reference_id": user}
    return customer, shop.offline.subscription(price, customer, **more)


def is_delivered(shop: Installation) -> bool:
    """Whether nothing waits to be posted to an endpoint that there is."""
    world = shop.offline.world
    with world.reading():
        live = {each.id for each in world.destinations if each.enabled}
        return all(
            posting.delivery in ("delivered", "lost")
            for one in world.log.posted
            for name, posting in one.postings.items()
            if name in live
        )


def settle(shop: Installation) -> None:
    """Have everything delivered and applied."""
    wait_until(lambda: is_delivered(shop), "webhooks delivered")
    shop.drain()


def rows(shop: Installation, statement: str) -> list[Any]:
    """Read from the tables."""
    with shop.context.engine.connect() as connection:
        return list(connection.execute(text(statement)).all())


def assert_right(shop: Installation, *endpoint_ids: str) -> None:
    """Nothing is missing of what an endpoint was told, and the tables follow from the events.

    Only these endpoints count, where some are named.
    """
    # An endpoint of an older version is not told of every type.
    told = {
        one.event.id
        for one in shop.offline.world.log.posted
        if one.event.type in DECODERS
        and one.postings.keys() & (endpoint_ids or one.postings.keys())
    }
    stored = {row.id for row in rows(shop, "SELECT id FROM webhook_events")}
    assert told - stored == set()
    found: list[Finding] = []
    audit(shop.context.engine, found.append, lambda _done, _total: None)
    assert found == []


def test_an_endpoint_is_made_once_and_its_drift_is_told(shop: Installation) -> None:
    """With exactly our types and our version; what can be changed is mended."""
    assert "Nothing done" in shop.run(WORDS, "create", shop.url, "--dry-run")
    assert endpoints(shop) == []
    made = shop.start(WORDS, "create", shop.url)
    secret = made.secret
    assert "STRIPE_WEBHOOK_SECRET" in made.end()
    (endpoint,) = endpoints(shop)
    assert (endpoint.url, endpoint.version, set(endpoint.types)) == (shop.url, ENDIVE, {*DECODERS})
    assert endpoint.secrets[-1].value == secret

    assert "none was made" in shop.run(WORDS, "create", shop.url)
    assert len(endpoints(shop)) == 1
    assert shop.run(WORDS, "check").startswith("ok ")

    world = shop.offline.world
    types = tuple(sorted(DECODERS.keys() - {"invoice.paid"}))
    world.put_destination(replace(endpoint, enabled=False, types=types, url=shop.url + "x/"))
    told = shop.run(WORDS, "check", status=1)
    for words in ("it lacks invoice.paid", "it is disabled", f"not {shop.url}"):
        assert words in told
    listed = json.loads(shop.run(WORDS, "check", "--json", status=1))
    assert {each["what"] for each in listed["endpoints"][0]["drift"]} == {"types", "status", "url"}
    assert shop.run(WORDS, "check", "--mend", "--dry-run", status=1).count("drift") == 1
    assert "exactly the 37 types" in shop.run(WORDS, "check", "--mend")
    assert shop.run(WORDS, "check").startswith("ok ")

    world.put_destination(replace(endpoint, version=ACACIA))
    assert f"upgrade {ENDIVE}" in shop.run(WORDS, "check", "--mend", status=1)
    world.remove_destination(endpoint.id)
    assert f"{endpoint.id}, is gone" in shop.run(WORDS, "check", status=1)


def test_a_thin_endpoint_is_an_event_destination(shop: Installation) -> None:
    """Made and checked by the same commands; it has no version to upgrade."""
    shop.run(WORDS, "create", shop.url, "--style", "thin")
    (endpoint,) = endpoints(shop)
    assert endpoint.style == "thin"
    assert set(endpoint.types) == {f"v1.{name}" for name in DECODERS}
    assert "thin, no version" in shop.run(WORDS, "check")
    assert "have no version" in shop.run(WORDS, "upgrade", ENDIVE, status=1)


def test_a_secret_is_rotated_without_losing_a_delivery(shop: Installation) -> None:
    """Both endpoints deliver until every receiver knows the new secret; then the old one goes."""
    first = shop.start(WORDS, "create", shop.url)
    old_secret = first.secret
    first.end()
    (old,) = endpoints(shop)
    shop.deploy(old_secret)
    buy(shop, "user_1")
    assert "Nothing done" in shop.run(WORDS, "rotate", "--dry-run")
    assert endpoints(shop) == [old]

    rotation = shop.start(WORDS, "rotate", "--for", "2s")
    new_secret = rotation.secret
    buy(shop, "user_2")
    # Nobody knows the new secret yet: the second endpoint must not deliver.
    assert [each.enabled for each in endpoints(shop)] == [True, False]
    assert "rotate --give-up" in shop.run(WORDS, "upgrade", ACACIA, status=1)
    rotation.interrupt()

    # Broken off and run again, it says what it lacks, and goes on once it has that.
    assert "STRIPE_WEBHOOK_SECRET" in shop.run(WORDS, "rotate", "--for", "2s", status=1)
    shop.secrets.append(new_secret)
    again = shop.start(WORDS, "rotate", "--for", "2s")
    time.sleep(1)
    assert again.process.poll() is None
    shop.deploy(new_secret, old_secret)
    again.says("both deliver")
    buy(shop, "user_3")
    assert f"{old.id} is removed" in again.end()

    (new,) = endpoints(shop)
    assert (new.enabled, new.url, new.secrets[-1].value) == (True, shop.url, new_secret)
    settle(shop)
    assert balances(shop.context.engine) == {f"user_{n}": PRO_TOKENS for n in (1, 2, 3)}
    assert "still holds the secret of" in shop.run("doctor", status=1)
    shop.deploy(new_secret)
    buy(shop, "user_4")
    settle(shop)
    assert_right(shop)
    assert shop.run(WORDS, "check").startswith("ok ")


def test_what_the_old_endpoint_had_not_delivered_is_fetched(shop: Installation) -> None:
    """Stripe forgets what waits for an endpoint that is removed."""
    first = shop.start(WORDS, "create", shop.url)
    old_secret = first.secret
    first.end()
    shop.offline.world.set_switches(delay_seconds=3_600.0)
    buy(shop, "user_1")
    shop.offline.world.set_switches(delay_seconds=0.0)
    rotation = shop.start(WORDS, "rotate", "--for", "0s")
    shop.deploy(rotation.secret, old_secret)
    told = rotation.end()
    assert "were fetched from Stripe" in told
    settle(shop)
    assert balances(shop.context.engine) == {"user_1": PRO_TOKENS}
    assert_right(shop)


def an_old_endpoint(shop: Installation) -> str:
    """An endpoint of an older version, made by hand, as is the account's; its secret."""
    shop.offline.world.set_switches(api_version=ACACIA)
    params: Any = {"url": shop.url, "api_version": ACACIA, "enabled_events": sorted(DECODERS)}
    made = shop.offline.client.v1.webhook_endpoints.create(params)
    assert made.secret
    return made.secret


def upgrade(shop: Installation, *more: str) -> Any:
    """Start an upgrade that settles fast."""
    return shop.start(WORDS, "upgrade", ENDIVE, "--for", "3s", "--late", "1s", *more)


def live(shop: Installation, user: str) -> None:
    """A purchase, a renewal, a refund, a dispute, a cancellation."""
    world = shop.offline.world
    customer, subscription = buy(shop, user)
    world.pay(shop.offline.session(shop.offline.price(500, None), customer), GOOD)
    charges = [each["id"] for each in shop.offline.objects("charge.succeeded")]
    world.refund(charges[-2], 500)
    world.dispute(charges[-1])
    portal = shop.offline.portal(customer)
    world.switch_plan(portal, subscription, shop.offline.price(5_900))
    world.cancel(portal, subscription)
    world.undo_cancel(portal, subscription)
    world.cancel(portal, subscription, now=True)


def test_an_upgrade_that_would_misread_money_is_found_out(shop: Installation) -> None:
    """Each fact that differs is told by object, and nothing switches while one does."""
    old_secret = an_old_endpoint(shop)
    shop.offline.world.hide(ENDIVE, "invoice", "amount_paid")
    shop.deploy(old_secret)
    buy(shop, "user_0")
    settle(shop)
    run = upgrade(shop)
    shop.deploy(old_secret, run.secret)
    run.says(f"delivers {ENDIVE} beside {ACACIA}")
    live(shop, "user_1")
    settle(shop)
    run.says("invoice.amount_paid_minor")
    (invoice,) = {each["id"] for each in shop.offline.objects("invoice.paid")[1:2]}
    run.says(f"differs  {invoice}  invoice.amount_paid_minor: 2900 before, 0 after")
    # It would have gone on: so long nothing may differ.
    time.sleep(4)
    assert run.process.poll() is None
    assert "it goes on from here" in run.interrupt()
    assert [each.version for each in endpoints(shop)] == [ACACIA, ENDIVE]
    assert "is under way" in shop.run(WORDS, "upgrade", "2025-09-30.clover", status=1)

    assert "over without effect" in shop.run(WORDS, "upgrade", "--give-up")
    (left,) = endpoints(shop)
    assert left.version == ACACIA
    settle(shop)
    assert rows(shop, "SELECT id FROM shadow_events") == []
    assert_right(shop, left.id)


@pytest.mark.parametrize("kind", ["classic", "destination"])
def test_an_upgrade_without_a_difference_switches_and_removes_the_old_endpoint(
    shop: Installation, kind: str
) -> None:
    """Nothing is applied twice, nothing is lost, and no receiver is restarted for the switch."""
    if kind == "classic":
        old_secret = an_old_endpoint(shop)
    else:
        made = shop.offline.client.v2.core.event_destinations.create(
            {
                "name": "ours",
                "type": "webhook_endpoint",
                "event_payload": "snapshot",
                "snapshot_api_version": ACACIA,
                "enabled_events": sorted(DECODERS),
                "webhook_endpoint": {"url": shop.url},
                "include": ["webhook_endpoint.signing_secret"],
            }
        )
        assert made.webhook_endpoint is not None
        assert made.webhook_endpoint.signing_secret is not None
        old_secret = made.webhook_endpoint.signing_secret
    (old,) = endpoints(shop)
    shop.deploy(old_secret)
    buy(shop, "user_0")
    settle(shop)
    assert "Nothing done" in shop.run(WORDS, "upgrade", ENDIVE, "--dry-run")
    run = upgrade(shop)
    secret = run.secret
    run.process.kill()
    run.process.wait(10)
    shop.deploy(old_secret, secret)
    run = upgrade(shop)
    run.says(f"delivers {ENDIVE} beside {ACACIA}")
    live(shop, "user_1")
    settle(shop)
    shadows = rows(shop, "SELECT type FROM shadow_events")
    assert "invoice_payment.paid" in {row.type for row in shadows}
    told = run.end()
    assert "differs" not in told
    assert "expected" in told
    assert f"{old.id} is removed" in told

    (new,) = endpoints(shop)
    assert (new.url, new.version, new.enabled) == (shop.url, ENDIVE, True)
    assert new.id.startswith("we_" if kind == "classic" else "ed_")
    # The receiver that runs takes what the new one delivers, as it is.
    live(shop, "user_2")
    settle(shop)
    versions = rows(shop, "SELECT count(*) AS n FROM webhook_events WHERE status <> 'ignored'")
    assert versions[0].n > 0
    assert_right(shop)
    assert shop.run(WORDS, "check").startswith("ok ")
