"""What a user may use, over real engines: the contract's answer for each, each user's own."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

import db.ledger.catalogue
from db.engine import make_engine
from domain.catalogue.features import Policies, Policy
from domain.catalogue.plans import Catalogue, CatalogueChange
from ingest.account.access_schemas import AccessSchema
from tests.ingest.builders import as_user
from tests.pipeline import sell
from tests.play import a_plan

PRO = a_plan(
    1,
    10_000,
    name="Pro",
    features={"api": True, "seats": 5},
    stripe_price_ids={"price_1": "usd"},
)
YEAR = a_plan(2, 10_000, name="Year", features={"seats": 9, "sso": True})
PACK = a_plan(
    3, 500, name="Pack", type="token", interval=None, features={"export": True, "api": False}
)
A_SUBSCRIPTION = """
    INSERT INTO subscriptions (id, user_id, status, status_since, started_at, items)
    VALUES (:id, :user, :status, to_timestamp(:since), '2026-03-01Z',
            '[{"id": "si_1", "price_id": "price_1", "quantity": 2,
               "period_start": 1772323200, "period_end": 1775001600}]')
"""
A_PACKAGE = """
    INSERT INTO payments (id, kind, root_id, facts, listed, user_id, status, currency, plan_id,
                          packages)
    VALUES ('cs_1', 'session', 'cs_1', '{}', true, 'packer', 'paid', 'usd', 3, '{"3": 1}')
"""
# In the year 2096, so that this grace has not ended.
SINCE = 4_000_000_000


@pytest.fixture(scope="module")
def seeded(database_url: str) -> Iterator[Engine]:
    """Somebody who pays, somebody who does not, somebody with a package."""
    engine = make_engine(database_url, pool_size=1)
    sell(engine, Catalogue.of([PRO, YEAR, PACK]))
    with engine.begin() as connection:
        grace = Policies(past_due=Policy(allows=True, grace_seconds=86_400))
        db.ledger.catalogue.save_policies(connection, grace)
        for user, status, since in (("payer", "active", 0), ("late", "past_due", SINCE)):
            row = {"id": f"sub_{user}", "user": user, "status": status, "since": since}
            connection.execute(text(A_SUBSCRIPTION.replace('": ', r'"\: ')), row)
        connection.execute(text(A_PACKAGE.replace(":", r"\:")))
    yield engine
    engine.dispose()


def access_of(client: FlaskClient, user: str) -> Any:
    """The answer to a user, which must be a 200 that its schema allows."""
    answer = client.get("/billing/access/", headers=as_user(user))
    assert answer.status_code == 200, answer.text
    assert AccessSchema().validate(answer.get_json()) == {}
    return answer.get_json()


def test_access_has_the_shape_of_the_contract(reader: FlaskClient) -> None:
    """Each feature with allowed, limit, why, until, and what would unlock it."""
    assert access_of(reader, "payer") == {
        "features": {
            "api": {
                "allowed": True,
                "limit": None,
                "why": {"code": "active", "text": "Pro is paid."},
                "until": None,
                "plan_id": 1,
                "held_by": "sub_payer",
                "unlocked_by": [],
            },
            "export": {
                "allowed": False,
                "limit": 0,
                "why": {"code": "not_included", "text": "No plan that is held includes it."},
                "until": None,
                "plan_id": None,
                "held_by": None,
                "unlocked_by": [
                    {
                        "plan_id": 3,
                        "plan_type": "token",
                        "name": "Pack",
                        "limit": None,
                        "checkout": {"plan_type": "token", "plan_id": 3},
                    }
                ],
            },
            "seats": {
                "allowed": True,
                "limit": 10,
                "why": {"code": "active", "text": "Pro is paid."},
                "until": None,
                "plan_id": 1,
                "held_by": "sub_payer",
                "unlocked_by": [],
            },
            "sso": {
                "allowed": False,
                "limit": 0,
                "why": {"code": "not_included", "text": "No plan that is held includes it."},
                "until": None,
                "plan_id": None,
                "held_by": None,
                "unlocked_by": [
                    {
                        "plan_id": 2,
                        "plan_type": "full",
                        "name": "Year",
                        "limit": None,
                        "checkout": None,
                    }
                ],
            },
        },
        "until": None,
    }


def test_a_grace_has_an_end(reader: FlaskClient) -> None:
    """In ISO 8601 UTC, for the feature and for the whole."""
    found = access_of(reader, "late")
    seats = found["features"]["seats"]
    assert (seats["allowed"], seats["why"]["code"]) == (True, "past_due")
    assert found["until"] == seats["until"]
    assert datetime.fromisoformat(seats["until"]).timestamp() == SINCE + 86_400


def test_a_package_unlocks_what_it_has(reader: FlaskClient) -> None:
    """And nothing else."""
    features = access_of(reader, "packer")["features"]
    assert [name for name, feature in features.items() if feature["allowed"]] == ["export"]
    assert features["export"]["held_by"] == "cs_1"


def test_who_holds_nothing_is_told_what_to_buy(reader: FlaskClient) -> None:
    """An unknown user sees nothing of anybody's."""
    sso = access_of(reader, "nobody")["features"]["sso"]
    assert sso["why"]["code"] == "no_plan"
    assert sso["unlocked_by"][0]["checkout"] == {"plan_type": "full", "plan_id": 2}


def test_a_feature_added_to_a_plan_holds_for_todays_subscribers_at_once(
    reader: FlaskClient, seeded: Engine
) -> None:
    """The receiver that runs already sees the new catalogue with the next request."""
    assert "new" not in access_of(reader, "payer")["features"]
    with seeded.begin() as connection:
        after = a_plan(1, 10_000, name="Pro", features={**PRO.features, "new": True})
        db.ledger.catalogue.save(connection, [CatalogueChange(PRO, after, ())])
    assert access_of(reader, "payer")["features"]["new"]["allowed"] is True
    with seeded.begin() as connection:
        db.ledger.catalogue.save(connection, [CatalogueChange(after, PRO, ())])


def test_no_token_no_answer(reader: FlaskClient) -> None:
    """As everywhere."""
    assert reader.get("/billing/access").status_code == 401
