"""Somebody who hears messages and keeps the newest state of each thing, as a receiver would."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from tests.ingest.builders import as_user

Json = dict[str, Any]


@dataclass
class Heard:
    """What one user's messages add up to; older versions than the kept one change nothing."""

    balance: Json | None = None
    subscriptions: dict[str, Json] = field(default_factory=dict)
    payments: dict[str, Json] = field(default_factory=dict)
    access: Json = field(default_factory=dict)
    versions: dict[tuple[str, str], int] = field(default_factory=dict)

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take one message, in whatever order it comes."""
        kind, data, version = message["type"], dict(message["data"]), message["version"]
        family = kind.partition(".")[0]
        thing = (family, data.get("id", ""))
        if version <= self.versions.get(thing, 0) or family == "trial":
            return
        self.versions[thing] = version
        if family == "tokens":
            self.balance = data
            return
        if family == "access":
            self.access = decided(data)
            return
        kept = self.subscriptions if family == "subscription" else self.payments
        data.pop("pay_url", None)
        if data.get("removed"):
            kept.pop(data["id"], None)
        else:
            kept[data["id"]] = data


def decided(access: Mapping[str, Any]) -> Json:
    """What something that the user holds decides of each feature, whatever else is on sale."""
    names = ("allowed", "limit", "why", "until", "plan_id", "held_by")
    return {
        name: {each: feature[each] for each in names}
        for name, feature in access["features"].items()
        if feature["plan_id"] is not None
    }


def heard_of(messages: Iterable[Mapping[str, Any]]) -> dict[str, Heard]:
    """What each user's messages add up to."""
    users: dict[str, Heard] = {}
    for message in messages:
        users.setdefault(message["user"], Heard()).hear(message)
    return users


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

    def items(path: str) -> dict[str, Any]:
        answer = api.get(f"{path}?limit=200", headers=as_user(user)).get_json()
        return {item["id"]: item for item in answer["items"]}

    balance = api.get("/billing/tokens/", headers=as_user(user)).get_json()
    payments = items("/billing/payments/")
    return Heard(
        balance=balance if balance["updated_at"] else None,
        subscriptions=items("/billing/subscriptions/"),
        payments={key: item for key, item in payments.items() if item["status"] != "pending"},
        access=decided(api.get("/billing/access/", headers=as_user(user)).get_json()),
    )
