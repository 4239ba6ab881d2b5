"""Plays events through the pure core, in memory: what the tables would say in the end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from domain.catalogue.plans import Catalogue, Plan
from domain.decode import decode, parse
from domain.decode.facts import Fact
from domain.payments.derivation import Payment
from domain.subscriptions.states import SubscriptionState, state_of
from domain.working_set import (
    Touched,
    WorkingSet,
    commit,
    derive_touched,
    merge_money,
    merge_parties,
)


def a_plan(plan_id: int, tokens: int, **changes: Any) -> Plan:
    """A plan version with one price, in dollars and euros."""
    fields: dict[str, Any] = {
        "id": plan_id,
        "version": 1,
        "type": "full",
        "name": f"Plan {plan_id}",
        "description": "",
        "tokens": tokens,
        "interval": "month",
        "trial_days": 0,
        "trial_tokens": 0,
        "active": True,
        "prices": {"usd": 2900, "eur": 2700},
    }
    return Plan(**(fields | changes))


CATALOGUE = Catalogue.of(
    [
        a_plan(1, 3_000, prices={"usd": 900}, stripe_price_ids={"price_basic_usd": "usd"}),
        a_plan(
            2,
            10_000,
            trial_tokens=500,
            stripe_price_ids={"price_pro_usd": "usd", "price_pro_eur": "eur"},
        ),
        a_plan(3, 100, prices={"usd": 0}, stripe_price_ids={"price_free_usd": "usd"}),
        a_plan(
            4,
            1_000,
            type="token",
            interval=None,
            prices={"usd": 500},
            stripe_price_ids={"price_pack_usd": "usd"},
        ),
    ]
)


@dataclass(frozen=True)
class Tables:
    """What does not depend on how the end was reached."""

    owners: Mapping[str, str | None]
    payments: Mapping[str, Payment]
    balances: Mapping[str, int]
    subscriptions: Mapping[str, SubscriptionState | None]


def facts_of(event: Mapping[str, Any]) -> list[tuple[str, Fact]]:
    """What an event says, each fact with the event's id."""
    return [(event["id"], fact) for fact in decode(parse(event)).facts]


class Player:
    """Applies events one by one, or in batches, as a worker would."""

    def __init__(self, catalogue: Catalogue = CATALOGUE) -> None:
        self.working_set = WorkingSet()
        self.catalogue = catalogue
        self.entries: list[tuple[str, str, int]] = []

    def apply(self, *events: Mapping[str, Any]) -> None:
        """One batch."""
        self.learn([fact for event in events for fact in facts_of(event)])

    def learn(self, facts: Sequence[tuple[str, Fact]]) -> None:
        """One batch, of which somebody read the facts before."""
        touched = Touched()
        merge_parties(self.working_set, touched, facts)
        merge_money(self.working_set, touched, facts)
        derived = derive_touched(self.working_set, touched, self.catalogue)
        commit(self.working_set, derived)
        self.entries.extend(
            (posting.entry.user_id, posting.entry.kind, posting.entry.delta)
            for posting in derived.postings
        )

    def copy(self) -> "Player":
        """Another player that knows as much, and may go on otherwise."""
        known = self.working_set
        copied = {each.name: dict(getattr(known, each.name)) for each in fields(known)}
        copied["posted"] = {key: dict(by_user) for key, by_user in known.posted.items()}
        found = Player(self.catalogue)
        found.working_set = WorkingSet(**copied)
        found.entries = list(self.entries)
        return found

    def tables(self) -> Tables:
        """What the tables say now."""
        balances: dict[str, int] = {}
        for by_user in self.working_set.posted.values():
            for user_id, total in by_user.items():
                balances[user_id] = balances.get(user_id, 0) + total
        newest = {key: each.newest()[0] for key, each in self.working_set.subscriptions.items()}
        return Tables(
            owners={key: each.user_id for key, each in self.working_set.customers.items()},
            payments={key: each for key, each in self.working_set.payments.items() if each.listed},
            balances={user: total for user, total in balances.items() if total},
            subscriptions={
                key: state_of(version) if version else None for key, version in newest.items()
            },
        )


def play(events: Iterable[Mapping[str, Any]], catalogue: Catalogue = CATALOGUE) -> Tables:
    """The tables after these events, applied one at a time in this order."""
    player = Player(catalogue)
    for event in events:
        player.apply(event)
    return player.tables()
