"""What messages add up to: the newest state of each thing, as a receiver would keep it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

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

    def differing(self, truth: "Heard") -> list[str]:
        """The names of what is known otherwise than it is."""
        names = ("balance", "subscriptions", "payments", "access")
        return [name for name in names if getattr(self, name) != getattr(truth, name)]


def shown(
    balance: Json, subscriptions: Iterable[Json], payments: Iterable[Json], access: Json
) -> Heard:
    """What the API's answers say, as somebody who heard everything would know it."""
    return Heard(
        balance=balance if balance["updated_at"] else None,
        subscriptions={item["id"]: item for item in subscriptions},
        # Nobody is told of a payment before it is paid or fails.
        payments={item["id"]: item for item in payments if item["status"] != "pending"},
        access=decided(access),
    )


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
