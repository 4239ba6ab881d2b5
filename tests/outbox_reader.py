"""Somebody who hears messages and keeps the newest state of each thing, as a receiver would."""

from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from dev.faults.heard import Heard, decided, heard_of
from dev.faults.heard import shown as shown_by
from tests.ingest.builders import as_user

__all__ = ["Heard", "decided", "heard_of", "shown", "users"]


def users(engine: Engine) -> set[str]:
    """Everybody of whom the API has something to show."""
    query = text(
        "SELECT user_id FROM token_accounts UNION SELECT user_id FROM customers"
        " UNION SELECT user_id FROM payments UNION SELECT user_id FROM subscriptions"
    )
    with engine.connect() as connection:
        return {user for user in connection.execute(query).scalars() if user}


def shown(api: FlaskClient, user: str) -> Heard:
    """What the API says of a user, as somebody who heard everything would know it."""

    def answer(path: str) -> dict[str, Any]:
        found: dict[str, Any] = api.get(path, headers=as_user(user)).get_json()
        return found

    return shown_by(
        answer("/billing/tokens/"),
        answer("/billing/subscriptions/?limit=200")["items"],
        answer("/billing/payments/?limit=200")["items"],
        answer("/billing/access/"),
    )
