"""What a synchronisation with Stripe consists of: actions, each with its reason."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from domain.catalogue.plans import Plan


class Do(StrEnum):
    """Kinds of actions; `LINK` changes our tables only."""

    CREATE_PRODUCT = "create product"
    UPDATE_PRODUCT = "update product"
    CREATE_PRICE = "create price"
    UPDATE_PRICE = "update price"
    ARCHIVE_PRICE = "archive price"
    SET_DEFAULT_PRICE = "set default price"
    LINK = "link price"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do for one plan.

    `params` are Stripe's. Where `target_id` is None something is made. A `product` or a
    `default_price` that they lack is what an earlier action for the same plan and currency makes.
    `known` are ids of what was made or bound already: with them in its idempotency key, what was
    deleted or unmarked by hand can be made again.
    """

    do: Do
    plan: Plan
    why: tuple[str, ...]
    target_id: str | None = None
    currency: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """Actions in the order in which they must be done, and what a person should look at."""

    actions: tuple[Action, ...]
    remarks: tuple[str, ...]


def idempotency_key(action: Action, params: Mapping[str, Any], attempt: int = 1) -> str:
    """A key that is the same for the same content, so that asking again makes nothing twice.

    After an error that Stripe would repeat for the key, a later `attempt` asks anew.
    """
    content = json.dumps([action.plan.version, action.known, params], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:32]
    kind = "product" if action.do is Do.CREATE_PRODUCT else "price"
    return f"sync:{kind}:{action.plan.id}:{digest}:{attempt}"


def changes(*fields: tuple[str, Any, Any]) -> tuple[dict[str, Any], list[str]]:
    """Fields (name, found, wanted) that differ: Stripe's parameters, and each in words."""
    params: dict[str, Any] = {}
    why: list[str] = []
    for name, present, wanted in fields:
        if isinstance(wanted, str) and present.strip() == wanted.strip():
            continue  # Stripe keeps no blanks at the ends.
        if present != wanted:
            params[name] = wanted
            why.append(f"{name}: {_shown(present)} -> {_shown(wanted)}")
    return params, why


def missing(wanted: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """The wanted metadata that an object lacks or has otherwise."""
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "none"
