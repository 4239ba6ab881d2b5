"""Asks Stripe for what an event did not say, and makes the answer one more event.

The answer is stored in the inbox like any other event (source `fetch`), so replays and audits
need no network. Nothing here runs inside a transaction.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

import telemetry
from db.deliveries import as_delivery
from db.records import decompress
from domain.errors import BillingError
from domain.fetched import PREFIX, as_event
from stripe_gateway import StripeGateway, StripeUnavailable
from workers.apply import Work, failed, prepare

log = telemetry.get_logger("fetch")


def completed(works: Sequence[Work], gateway: StripeGateway | None) -> list[Work]:
    """The same works, each one whose lists are cut followed by the event with the whole lists.

    Without a key, or when Stripe does not answer, such an event fails, to be tried again.
    """
    found: list[Work] = []
    for work in works:
        found.extend(_complete(work, gateway) if work.is_cut else [work])
    return found


def _complete(work: Work, gateway: StripeGateway | None) -> list[Work]:
    if gateway is None:
        reason = "a list in it is cut (has_more), and without STRIPE_SECRET_KEY nobody can be asked"
        return [failed(work, BillingError(f"{work.delivery.event_type}: {reason}."))]
    event = orjson.loads(decompress(work.delivery.body))
    try:
        whole = _with_whole_lists(event["data"]["object"], gateway)
    except StripeUnavailable as error:
        return [failed(work, error)]
    event["data"]["object"] = whole
    answer = as_delivery(event | {"id": PREFIX + work.delivery.event_id})
    note = f"completed by {answer.event_id}"
    return [
        replace(work, outcome=replace(work.outcome, note=note)),
        prepare(answer, source="fetch"),
    ]


def _with_whole_lists(found: Mapping[str, Any], gateway: StripeGateway) -> dict[str, Any]:
    if found.get("object") == "subscription":
        key, entries = "items", gateway.subscription_items(found["id"])
    else:
        key, entries = "lines", gateway.invoice_lines(found["id"])
    return {**found, key: {"object": "list", "data": entries, "has_more": False}}


def subscription_now(subscription_id: str, gateway: StripeGateway) -> Work:
    """What Stripe says of a subscription now, as an event of this second.

    Raises `StripeUnavailable`.
    """
    found = gateway.subscription(subscription_id)
    now = int(time.time())
    event = as_event(
        "customer.subscription.updated",
        found,
        event_id=f"{subscription_id}_{now}",
        created=now,
        api_version=gateway.api_version,
    )
    return prepare(as_delivery(event), source="fetch")
