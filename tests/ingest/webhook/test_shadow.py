"""Deliveries of a shadow endpoint: kept apart, refused where nobody waits, and no one's burden."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from flask.testing import FlaskClient

from db.endpoints.shadow import Place
from domain.events import Delivery
from tests.ingest.builders import a_body, a_signature
from tests.ingest.conftest import WAYS, Stores

PATH = "/billing/stripe/webhook/"


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Everything here holds for both ways in."""
    taken: str = request.param
    return taken


@dataclass
class Shadow:
    """Stands for the table: answers where a delivery belongs, and remembers it."""

    place: Place = Place.SHADOW
    kept: list[str] = field(default_factory=list)

    def keep(self, _connection: Any, delivery: Delivery) -> Place:
        """In place of `db.endpoints.shadow.keep`."""
        self.kept.append(delivery.event_id)
        return self.place


@pytest.fixture
def shadow(monkeypatch: pytest.MonkeyPatch) -> Shadow:
    """An upgrade that waits for deliveries."""
    found = Shadow()
    monkeypatch.setattr("ingest.webhook.shadow.shadow.keep", found.keep)
    return found


def test_it_is_kept_beside_the_inbox_and_never_applied(
    client: FlaskClient, stores: Stores, shadow: Shadow
) -> None:
    """Nothing reaches the stream or the inbox, and nobody is woken."""
    body = a_body()
    answer = client.post(f"{PATH}?shadow=1", data=body, headers=a_signature(body))
    assert (answer.status_code, answer.get_json()) == (200, {"received": True})
    assert shadow.kept == ["evt_1"]
    assert stores.in_stream() == stores.in_inbox() == []
    assert stores.wake_ups.sent == 0


@pytest.mark.parametrize("query", ["", "?shadow=0", "?noshadow=1", "?tenant=shadow"])
def test_an_ordinary_delivery_is_asked_nothing(
    client: FlaskClient, stores: Stores, shadow: Shadow, query: str
) -> None:
    """Only the one query makes a shadow."""
    body = a_body()
    assert client.post(f"{PATH}{query}", data=body, headers=a_signature(body)).status_code == 200
    assert shadow.kept == []
    assert stores.in_stream() == ["evt_1"]


def test_after_the_switch_it_is_a_delivery_as_any_other(
    client: FlaskClient, stores: Stores, shadow: Shadow
) -> None:
    """Stripe may go on using the shadow's URL for a while."""
    shadow.place = Place.ORDINARY
    body = a_body()
    answer = client.post(f"{PATH}?a=b&shadow=1", data=body, headers=a_signature(body))
    assert answer.status_code == 200
    assert stores.in_stream() == ["evt_1"]


def test_without_an_upgrade_it_is_refused(
    client: FlaskClient, stores: Stores, shadow: Shadow
) -> None:
    """So that a forgotten endpoint shows at Stripe, and its events fill no disk."""
    shadow.place = Place.NOWHERE
    body = a_body()
    answer = client.post(f"{PATH}?shadow=1", data=body, headers=a_signature(body))
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (400, "no_upgrade")
    assert stores.in_stream() == stores.in_inbox() == []


def test_an_unsigned_one_is_refused_as_ever(client: FlaskClient, shadow: Shadow) -> None:
    """The query opens no door."""
    body = a_body()
    answer = client.post(f"{PATH}?shadow=1", data=body, headers=a_signature(b"other"))
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (400, "signature_invalid")
    assert shadow.kept == []


def test_while_the_database_is_away_stripe_is_told_to_come_again(
    client: FlaskClient, stores: Stores, shadow: Shadow
) -> None:
    """A shadow event is kept by the database or not at all; ordinary ones go on."""
    stores.inbox.refuses = True
    body = a_body()
    answer = client.post(f"{PATH}?shadow=1", data=body, headers=a_signature(body))
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (503, "not_stored")
    assert "Retry-After" in answer.headers
    assert client.post(PATH, data=body, headers=a_signature(body)).status_code == 200
    assert shadow.kept == []
