"""What is saved of an account as one value: taken apart into records, and put together again.

Everything follows from the records, the clock, and how webhooks are delivered.
"""

import random
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import orjson

from sandbox.simulate.contract_records import Customer
from sandbox.simulate.records import Invoice, Session
from sandbox.stripe.agenda import Shop
from sandbox.stripe.state.records import Reader, Writer
from sandbox.stripe.views import Switches


@dataclass(slots=True)
class State:
    """What is saved of an account as one value; its events are kept apart."""

    shop: Shop
    ahead_seconds: int = 0
    switches: Switches = field(default_factory=Switches)


@dataclass(frozen=True, slots=True)
class Saved:
    """An account as its file has it: itself, and its records by id, oldest first.

    `kept` are those that can be asked for; the others are only mentioned.
    """

    account: bytes
    bodies: Mapping[str, bytes]
    kept: tuple[str, ...]


def founded() -> State:
    """An account in which nothing has happened yet."""
    return State(Shop(run=secrets.token_hex(8), starts_at=int(time.time())))


def taken_apart(state: State) -> Saved:
    """An account as it is saved."""
    writer, shop = Writer(), state.shop
    bodies = writer.bodies(shop.records.values())
    account: dict[str, Any] = {
        "run": shop.run,
        "now": shop.now,
        "fails_next": shop.fails_next,
        "version": writer.value(shop.version),
    }
    for one in fields(State):
        if one.name != "shop":
            account[one.name] = writer.value(getattr(state, one.name))
    return Saved(orjson.dumps(account), bodies, tuple(shop.records))


def put_together(saved: Saved) -> State:
    """The account that was saved. Raises `UnreadableError`."""
    reader, account = Reader(saved.bodies), orjson.loads(saved.account)
    records = reader.records()
    shop = Shop(run=account["run"], starts_at=account["now"])
    shop.version = reader.value(account["version"])
    shop.fails_next = account.get("fails_next", False)
    # The ids of another life would come again.
    shop.draw_ids_from(random.SystemRandom())
    for record_id in saved.kept:
        shop.keep(records[record_id])
    for record in records.values():
        match record:
            case Customer():
                shop.customers[record.id] = record
            case Invoice():
                shop.invoices[record.id] = record
            case Session():
                shop.sessions[record.id] = record
    rest = {
        one.name: reader.value(account[one.name])
        for one in fields(State)
        if one.name != "shop" and one.name in account
    }
    return State(shop, **rest)
