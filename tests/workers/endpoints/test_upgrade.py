"""An upgrade of our endpoint step by step: what is compared, what holds it up, what it leaves."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import ingest.context
import settings
from db.endpoints import changes
from db.endpoints.changes import Change, Purpose, State
from domain.decode import DECODERS
from domain.endpoints.endpoint import Endpoint
from stripe_gateway import StripeGateway, open_gateway
from tests.conftest import Engines
from tests.offline_stripe import GOOD
from tests.pipeline import empty_redis
from tests.shop_floor import PACK, PRO, Floor, shop_floor
from workers.endpoints.comparing import Comparison, Ours, Standing
from workers.endpoints.remote import RemoteEndpoints
from workers.endpoints.second import EndpointChangeError, Tools, given_up, under_way
from workers.endpoints.upgrade import Upgrade

ACACIA, ENDIVE = "2025-02-24.acacia", "2026-10-28.endive"


class Bench:
    """A shop whose endpoint sends an older version, and an upgrade of it."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.said: list[str] = []
        configured = settings.load(environ=floor.environment)
        gateway = open_gateway(configured)
        assert gateway is not None
        self.gateway: StripeGateway = gateway
        self.remote = RemoteEndpoints(gateway)
        self.secrets = configured.stripe_webhook_secrets

    def run(self, *accepted: str, late_seconds: float = 0.0) -> Upgrade:
        """One process' upgrade, with the secrets of now."""
        engine = self.floor.context.engine
        tools = Tools(engine, self.remote, self.secrets, self.said.append)
        comparison = Comparison(
            engine, Ours(None, test_mode=True), accepted=accepted, late_seconds=late_seconds
        )
        return Upgrade(tools, self.gateway, comparison, "tester")

    def deploy(self, secret: str) -> None:
        """Have the receiver know one more secret."""
        self.secrets = (*self.secrets, secret)
        before = self.floor.receiver
        after = replace(before.settings, stripe_webhook_secrets=self.secrets)
        ingest.context.attach(self.floor.app.extensions, replace(before, settings=after))

    def endpoints(self) -> list[Endpoint]:
        """What Stripe has."""
        return self.remote.every()

    def begun(self) -> tuple[Change, str]:
        """An upgrade whose shadow endpoint is made."""
        run = self.run()
        (old,) = self.endpoints()
        return run.make(run.begin(old, ENDIVE), tuple(DECODERS))

    def enabled(self) -> Change:
        """An upgrade under which both endpoints deliver."""
        change, secret = self.begun()
        self.deploy(secret)
        return self.run().enable(change, secret)

    def live(self, user: str) -> str:
        """A subscription, a package, money that goes back; the customer."""
        stripe, world = self.floor.stripe, self.floor.stripe.world
        customer = stripe.customer(user)
        metadata = {"metadata": {"user_id": user, "plan_id": str(PRO)}}
        price = self.floor.price_of(PRO)
        subscription = stripe.subscription(price, customer, subscription_data=metadata)
        world.pay(stripe.session(self.floor.price_of(PACK), customer), GOOD)
        charges = [each["id"] for each in stripe.objects("charge.succeeded")]
        world.refund(charges[-2], 500)
        world.dispute(charges[-1])
        world.cancel(stripe.portal(customer), subscription, now=True)
        return customer

    def settle(self) -> None:
        """Have both endpoints deliver everything, and everything applied."""
        self.floor.settle(asks=False)

    def rows(self, statement: str) -> list[Any]:
        """Read from the tables."""
        with self.floor.context.engine.connect() as connection:
            return list(connection.execute(text(statement)).all())


@pytest.fixture
def fresh_database_url(engines: Engines, template_database: str) -> Iterator[str]:
    """A database for each test, for an upgrade changes the account."""
    name = f"upgrade_{os.getpid()}"
    engines.administer(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
    yield engines.database_url_of(name)
    engines.administer(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def bench(fresh_database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A shop whose tables follow from its events in the end, too."""
    empty_redis(redis_url)
    with shop_floor(fresh_database_url, redis_url, tmp_path) as floor:
        floor.stripe.world.set_switches(api_version=ACACIA)
        yield Bench(floor)
        floor.worker.send_wake_up()
        floor.settle(asks=False)
        assert floor.differences() == []


def open_facts(standing: Standing) -> list[tuple[str, str]]:
    """The objects and facts that differ without an excuse."""
    return [(row.object_id, row.path) for row in standing.differing if not row.excuse]


def test_what_the_shadow_delivers_is_compared_and_never_applied(bench: Bench) -> None:
    """From acacia to endive nothing differs, though links come with another event there."""
    bench.live("user_0")
    bench.settle()
    change = bench.enabled()
    bench.live("user_1")
    bench.settle()
    stored = {row.id for row in bench.rows("SELECT id FROM webhook_events")}
    shadow = bench.rows("SELECT id, type FROM shadow_events")
    assert {row.type for row in shadow if row.id not in stored} == {"invoice_payment.paid"}
    standing = bench.run().look(change)
    assert open_facts(standing) == []
    assert (standing.seen.unjudged, standing.halves_total) == (0, 0)
    assert standing.is_clean
    assert standing.seen.types["invoice_payment.paid"] >= 1

    bench.run().switch(change)
    (new,) = bench.endpoints()
    assert (new.version, new.is_enabled, "shadow" in new.url) == (ENDIVE, True, False)
    assert bench.rows("SELECT id FROM shadow_events") == []
    # What the shadow alone was told is known now.
    bench.floor.worker.send_wake_up()
    bench.live("user_2")
    bench.settle()
    of_links = "SELECT status FROM webhook_events WHERE type = 'invoice_payment.paid'"
    assert [row.status for row in bench.rows(of_links)] == ["applied", "applied"]


def test_a_field_that_moved_holds_it_up_until_it_is_accepted(bench: Bench) -> None:
    """Each fact by object, with what it was and is; another run finds the same."""
    bench.floor.stripe.world.hide(ENDIVE, "invoice", "amount_paid")
    change = bench.enabled()
    bench.live("user_1")
    bench.settle()
    standing = bench.run().look(change)
    assert not standing.is_clean
    paths = {path for _, path in open_facts(standing)}
    assert "invoice.amount_paid_minor" in paths
    (row,) = [one for one in standing.differing if one.path == "invoice.amount_paid_minor"]
    assert row.object_id.startswith("in_")
    assert (row.before, row.after) == ("5000", "0")
    again = bench.run().look(change)
    assert open_facts(again) == open_facts(standing)
    accepted = bench.run("invoice.amount_paid_minor", "payment*").look(change)
    assert open_facts(accepted) == []
    assert accepted.is_clean
    assert accepted.quiet_seconds < 5


def test_a_difference_is_no_difference_while_the_event_that_says_the_rest_may_come(
    bench: Bench,
) -> None:
    """So long it is neither told nor is anything clean."""
    bench.floor.stripe.world.hide(ENDIVE, "invoice", "amount_paid")
    change = bench.enabled()
    bench.live("user_1")
    bench.settle()
    standing = bench.run(late_seconds=60.0).look(change)
    assert open_facts(standing) == []
    assert standing.seen.unjudged > 0
    assert not standing.is_clean


def test_an_event_that_one_endpoint_alone_delivers_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is it forgotten when the other is late for good."""
    # All of this happens within the seconds that are left out for clocks that differ.
    monkeypatch.setattr("db.endpoints.shadow_reads.BOUNDARY_SECONDS", -5)
    change = bench.enabled()
    bench.live("user_1")
    bench.settle()
    with bench.floor.context.engine.begin() as connection:
        gone = connection.execute(
            text("DELETE FROM shadow_events WHERE type = 'customer.created' RETURNING id")
        ).scalar_one()
    standing = bench.run().look(change)
    assert [(half.event_id, half.in_shadow) for half in standing.halves] == [(gone, False)]
    assert not standing.is_clean


def test_until_the_receivers_know_the_secret_nothing_is_delivered(bench: Bench) -> None:
    """They are asked themselves; what does not know its own secret says so."""
    change, secret = bench.begun()
    assert bench.run().enable(change, secret).state is State.MADE
    assert bench.run().enable(change, "").state is State.MADE
    assert any("STRIPE_WEBHOOK_SECRET" in words for words in bench.said)
    shadow = next(each for each in bench.endpoints() if each.version == ENDIVE)
    assert not shadow.is_enabled
    bench.live("user_1")
    bench.settle()
    assert bench.rows("SELECT id FROM shadow_events") == []
    bench.deploy(secret)
    # Another process finds the secret in its settings.
    known = bench.run().make(change, tuple(DECODERS))[1]
    assert known == secret
    assert bench.run().enable(change, known).state is State.ENABLED


def test_a_shadow_whose_secret_nobody_saw_is_made_again(bench: Bench) -> None:
    """The process was killed between Stripe's answer and its note."""
    change, _ = bench.begun()
    with bench.floor.context.engine.begin() as connection:
        connection.execute(text("UPDATE endpoint_changes SET state = 'begun', new_id = NULL"))
        begun = changes.under_way(connection)
    assert begun is not None
    again, secret = bench.run().make(begun, tuple(DECODERS))
    assert secret
    shadows = [each for each in bench.endpoints() if each.version == ENDIVE]
    assert [each.id for each in shadows] == [again.new_id]
    assert again.new_id != change.new_id


def test_a_shadow_that_somebody_removed_before_it_delivered_is_made_again(bench: Bench) -> None:
    """Also where two made one at the same time, and the one who lost has removed both."""
    change, _ = bench.begun()
    shadow = next(each for each in bench.endpoints() if each.version == ENDIVE)
    bench.remote.delete(shadow.kind, shadow.id)
    again, secret = bench.run().make(change, tuple(DECODERS))
    assert secret
    assert again.new_id != change.new_id
    late = replace(change, state=State.BEGUN, id=change.id)
    with pytest.raises(EndpointChangeError, match="somebody else"):
        bench.run().make(late, tuple(DECODERS))
    assert [each.id for each in bench.endpoints()] == [change.old_id]
    assert bench.run().make(again, tuple(DECODERS))[1]


def test_a_switch_that_was_broken_off_is_finished(bench: Bench) -> None:
    """It was noted, and Stripe was not told: the shadow's URL is as good as the ordinary one."""
    change = bench.enabled()
    bench.live("user_1")
    bench.settle()
    with bench.floor.context.engine.begin() as connection:
        changes.switched(connection, change)
    bench.live("user_2")
    bench.settle()
    with pytest.raises(EndpointChangeError, match="switched already"):
        given_up(bench.run().tools, Purpose.UPGRADE)
    current = under_way(bench.run().tools, Purpose.UPGRADE)
    assert current is not None
    bench.run().switch(current)
    (new,) = bench.endpoints()
    assert (new.version, "shadow" in new.url) == (ENDIVE, False)


def test_one_that_is_given_up_leaves_nothing(bench: Bench) -> None:
    """No endpoint, no event; what comes late is refused."""
    change = bench.enabled()
    bench.live("user_1")
    bench.settle()
    with pytest.raises(EndpointChangeError, match="--give-up"):
        under_way(bench.run().tools, Purpose.ROTATE)
    assert given_up(bench.run().tools, Purpose.UPGRADE)
    assert not given_up(bench.run().tools, Purpose.UPGRADE)
    assert [each.id for each in bench.endpoints()] == [change.old_id]
    assert bench.rows("SELECT id FROM shadow_events") == []


def test_where_there_is_nothing_to_upgrade_it_is_said(bench: Bench) -> None:
    """The version that it has already; one that is the account's is read off its events."""
    (old,) = bench.endpoints()
    with pytest.raises(EndpointChangeError, match="already"):
        bench.run().begin(old, ACACIA)
    bench.live("user_1")
    bench.settle()
    change = bench.run().begin(replace(old, version=""), ENDIVE)
    assert change.from_version == ACACIA
