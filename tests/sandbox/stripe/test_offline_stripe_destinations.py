"""Several endpoints of the offline Stripe at once, each with its style, version, types, secrets."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.offline_stripe import GOOD, SECRET, Offline, offline_stripe
from tests.sandbox.stripe.test_offline_stripe_webhooks import Receiver, buy, receiving, wait_for

ALL_THIN = ["v1.checkout.session.completed", "v1.payment_intent.succeeded", "v1.charge.refunded"]


@pytest.fixture
def receivers() -> Iterator[tuple[Receiver, Receiver, Receiver]]:
    """Three receivers: of the first endpoint, of thin events, and of another version."""
    with ExitStack() as stack:
        first, thin, other = (stack.enter_context(receiving()) for _ in range(3))
        yield first, thin, other


@pytest.fixture
def offline(tmp_path: Path, receivers: tuple[Receiver, ...]) -> Iterator[Offline]:
    """An account that posts to the first receiver."""
    with offline_stripe(tmp_path / "stripe.sqlite", webhook_url=receivers[0].url) as served:
        yield served


def destination(offline: Offline, url: str, **more: Any) -> Any:
    """Make a destination as the SDK does."""
    params: Any = {
        "name": "ours",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["*"],
        "webhook_endpoint": {"url": url},
        "include": ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
        **more,
    }
    return offline.client.v2.core.event_destinations.create(params)


def test_thin_events_are_what_the_sdk_reads(
    offline: Offline, receivers: tuple[Receiver, Receiver, Receiver]
) -> None:
    """Signed with the destination's own secret; event, twin and object can be fetched."""
    _, thin, _ = receivers
    made = destination(offline, thin.url, enabled_events=ALL_THIN)
    secret = made.webhook_endpoint.signing_secret
    ids = buy(offline)
    wait_for(lambda: len(thin.bodies) == 2)
    for body, signature in zip(thin.bodies, thin.signatures, strict=True):
        notice = offline.client.parse_event_notification(body, signature, secret)
        assert type(notice).__name__.startswith("V1")
        event = notice.fetch_event()
        assert (event.id, event.snapshot_event in ids) == (notice.id, True)
        twin = offline.client.v1.events.retrieve(str(event.snapshot_event))
        fetched: Any = notice
        assert fetched.fetch_related_object().id == twin.data.object["id"]
        assert "data" not in json.loads(body)
        assert f"v1.{twin.type}" == notice.type


def test_two_versions_are_told_at_once(
    offline: Offline, receivers: tuple[Receiver, Receiver, Receiver]
) -> None:
    """Each in the shapes of its own, of the very same change."""
    first, _, other = receivers
    destination(
        offline,
        other.url,
        event_payload="snapshot",
        snapshot_api_version="2025-02-24.acacia",
        enabled_events=["customer.subscription.updated", "invoice_payment.paid", "invoice.paid"],
    )
    customer = offline.customer()
    offline.subscription(offline.price(), customer)
    wait_for(lambda: {one.delivery for one in offline.world.log.posted} == {"delivered"})
    new = {event["id"]: event for event in map(json.loads, first.bodies)}
    old = {event["id"]: event for event in map(json.loads, other.bodies)}
    # That type came later than this version.
    assert {event["type"] for event in old.values()} == {
        "invoice.paid",
        "customer.subscription.updated",
    }
    for event_id, event in old.items():
        twin, told = new[event_id], event["data"]["object"]
        assert (event["api_version"], event["created"]) == ("2025-02-24.acacia", twin["created"])
        assert told["id"] == twin["data"]["object"]["id"]
        if told["object"] == "invoice":
            assert "subscription" in told
            assert "subscription" not in twin["data"]["object"]
        else:
            assert "current_period_end" in told
            assert set(event["data"]["previous_attributes"]) <= set(told)


def test_types_that_came_later_are_told_thin_whatever_the_version(
    offline: Offline, receivers: tuple[Receiver, Receiver, Receiver]
) -> None:
    """An endpoint of 2024-06-20 hears of no refund by id; a thin event without twin does."""
    first, thin, _ = receivers
    offline.world.set_switches(api_version="2024-06-20")
    destination(offline, thin.url, enabled_events=["v1.refund.created"])
    session = offline.session(offline.price(500, interval=None), offline.customer())
    offline.world.pay(session, GOOD)
    refund = offline.world.refund(offline.world.dashboard().payments[0].charge_id)
    wait_for(lambda: len(thin.bodies) == 1)
    notice = json.loads(thin.bodies[0])
    assert (notice["related_object"]["id"], notice["snapshot_event"]) == (refund, None)
    wait_for(lambda: "charge.refunded" in {json.loads(body)["type"] for body in first.bodies})
    assert "refund.created" not in {json.loads(body)["type"] for body in first.bodies}
    assert "refund.created" not in {one.type for one in offline.client.v1.events.list().data}


def test_either_style_is_spoiled_on_its_own(
    offline: Offline, receivers: tuple[Receiver, Receiver, Receiver]
) -> None:
    """Thin ones four times, snapshots not at all."""
    first, thin, _ = receivers
    destination(offline, thin.url)
    offline.world.set_switches(loss=1.0)
    offline.world.set_thin_switches(duplicates=1.0, names_twin=False)
    ids = buy(offline)
    wait_for(lambda: len(thin.bodies) == 4 * len(ids))
    assert set(Counter(thin.ids).values()) == {4}
    assert all(json.loads(body)["snapshot_event"] is None for body in thin.bodies)
    assert not first.bodies
    event = offline.client.v2.core.events.retrieve(thin.ids[0])
    assert event.snapshot_event in ids


def test_a_rolled_secret_signs_beside_the_new_one_for_its_time(
    offline: Offline, receivers: tuple[Receiver, Receiver, Receiver]
) -> None:
    """One signature each; when its time has passed the old one signs no more."""
    first, _, _ = receivers
    (served,) = offline.world.destinations
    rolled = served.rolled(time.time(), keep_seconds=2)
    offline.world.put_destination(rolled)
    offline.customer()
    wait_for(lambda: len(first.bodies) == 1)
    for secret in (SECRET, rolled.secrets[-1].value):
        assert stripe.WebhookSignature.verify_header(
            first.bodies[0].decode(), first.signatures[0], secret, 300
        )
    wait_for(lambda: len(rolled.live_secrets(time.time())) == 1)
    offline.customer("later")
    wait_for(lambda: len(first.bodies) == 2)
    assert first.signatures[1].count("v1=") == 1


def test_a_disabled_endpoint_is_told_nothing_and_what_waits_is_cancelled(
    offline: Offline, receivers: tuple[Receiver, Receiver, Receiver]
) -> None:
    """Enabled again it hears of what happens from then on."""
    first, thin, _ = receivers
    made = destination(offline, thin.url)
    offline.world.set_thin_switches(delay_seconds=60.0)
    offline.customer("waits")
    disabled: Any = offline.client.v2.core.event_destinations.disable(made.id)
    assert (disabled.status, disabled.webhook_endpoint.url) == ("disabled", None)
    offline.customer("unheard")
    offline.world.set_thin_switches(delay_seconds=0.0)
    offline.client.v2.core.event_destinations.enable(made.id)
    heard = offline.customer("heard")
    wait_for(lambda: bool(thin.bodies) and len(first.bodies) == 3)
    assert [json.loads(body)["related_object"]["id"] for body in thin.bodies] == [heard]


def test_destinations_are_changed_listed_and_removed(offline: Offline) -> None:
    """As API v2 does it; a type of the other style is refused, and so is a version of thin ones."""
    destinations = offline.client.v2.core.event_destinations
    made = destination(offline, "http://127.0.0.1:1/x")
    changed: Any = destinations.update(
        made.id, {"enabled_events": ["v1.invoice.paid"], "include": ["webhook_endpoint.url"]}
    )
    assert (changed.enabled_events, changed.webhook_endpoint.url) == (
        ["v1.invoice.paid"],
        "http://127.0.0.1:1/x",
    )
    assert len(destinations.list().data) == 2
    # A classic endpoint is one that is told snapshots.
    assert len(offline.client.v1.webhook_endpoints.list().data) == 1
    with pytest.raises(stripe.StripeError, match=r"invoice\.paid is no type"):
        destinations.update(made.id, {"enabled_events": ["invoice.paid"]})
    with pytest.raises(stripe.StripeError, match="no API version"):
        destination(offline, "http://127.0.0.1:1/y", snapshot_api_version="2026-10-28.endive")
    destinations.delete(made.id)
    assert len(destinations.list().data) == 1
    with pytest.raises(stripe.StripeError, match="No such event destination"):
        destinations.retrieve(made.id)


def test_a_ping_arrives(offline: Offline, receivers: tuple[Receiver, Receiver, Receiver]) -> None:
    """As a thin event about the destination itself."""
    _, thin, _ = receivers
    made = destination(offline, thin.url)
    offline.client.v2.core.event_destinations.ping(made.id)
    wait_for(lambda: len(thin.bodies) == 1)
    notice = json.loads(thin.bodies[0])
    assert notice["type"] == "v2.core.event_destination.ping"
    assert notice["related_object"]["id"] == made.id


def test_an_event_that_was_never_made_is_told_by_a_failure(
    offline: Offline, receivers: tuple[Receiver, Receiver, Receiver]
) -> None:
    """No list has it; the fetched failure names the object that it would have told of."""
    first, thin, _ = receivers
    destination(offline, thin.url)
    offline.world.generation_fails = True
    customer = offline.customer()
    offline.world.generation_fails = False
    wait_for(lambda: len(thin.bodies) == 1)
    notice = json.loads(thin.bodies[0])
    assert notice["type"] == "v2.core.health.event_generation_failure.resolved"
    assert "data" not in notice
    event: Any = offline.client.v2.core.events.retrieve(notice["id"])
    assert event.data.impact.event_type == "customer.created"
    assert event.data.impact.related_object.id == customer
    assert not offline.client.v1.events.list().data
    assert not first.bodies


def test_destinations_outlive_a_restart(tmp_path: Path) -> None:
    """With their secrets, and with what waits for them."""
    path = tmp_path / "stripe.sqlite"
    with receiving() as gone:
        dead = gone.url
    with offline_stripe(path) as offline:
        made = destination(offline, dead)
        customer = offline.customer()
        wait_for(lambda: offline.world.log.posted[0].attempts > 0)
        before = offline.world.destinations
    with receiving() as receiver, offline_stripe(path) as offline:
        assert offline.world.destinations == before
        found = offline.world.destination(made.id)
        assert found is not None
        offline.world.put_destination(replace(found, url=receiver.url))
        wait_for(lambda: len(receiver.bodies) == 1)
        assert json.loads(receiver.bodies[0])["related_object"]["id"] == customer
