"""Asks Stripe for what an event did not say, and makes the answer one more event.

The answer is stored in the inbox like any other event (source `fetch`), so replays and audits
need no network. Nothing here runs inside a transaction.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection

import telemetry
from db import subscription_check as tables
from db.bodies import decompress
from db.deliveries import as_delivery
from domain.errors import BillingError
from domain.events import Delivery
from domain.fetched import PREFIX, as_event
from stripe_gateway import StripeGateway
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
    try:
        answer = _whole(work, gateway)
    except SoftTimeLimitExceeded:
        raise  # The task must end; the event is not to blame.
    except Exception as error:  # noqa: BLE001 - whatever is odd about one event stops no other.
        return [failed(work, error)]
    note = f"completed by {answer.event_id}"
    return [
        replace(work, outcome=replace(work.outcome, note=note)),
        prepare(answer, source="fetch"),
    ]


def _whole(work: Work, gateway: StripeGateway) -> Delivery:
    """The event with its whole lists, as one more delivery."""
    event = orjson.loads(decompress(work.delivery.body))
    event["data"]["object"] = _with_whole_lists(event["data"]["object"], gateway)
    return as_delivery(event | {"id": PREFIX + work.delivery.event_id})


def _with_whole_lists(found: Mapping[str, Any], gateway: StripeGateway) -> dict[str, Any]:
    if found.get("object") == "subscription":
        key, entries = "items", gateway.subscription_items(found["id"])
    else:
        key, entries = "lines", gateway.invoice_lines(found["id"])
    return {**found, key: {"object": "list", "data": entries, "has_more": False}}


def answer_times(
    connection: Connection, subscription_ids: Collection[str], *, skew_seconds: int = 0
) -> dict[str, int]:
    """The second of what Stripe is about to say of each subscription; call before it is asked.

    It is this one; but where Stripe's last report lies further ahead of our clock than
    `skew_seconds` (a test clock, or a clock that was moved), the one after that report.
    """
    newest = tables.newest_reports(connection, list(subscription_ids))
    now = int(time.time())
    later = {name: newest.get(name, 0) + 1 for name in subscription_ids}
    return {name: each if each > now + skew_seconds else now for name, each in later.items()}


def subscription_now(subscription_id: str, gateway: StripeGateway, created: int) -> Work:
    """What Stripe says of a subscription now, as an event of the second `created`.

    Raises `StripeUnavailable`.
    """
    found = gateway.subscription(subscription_id)
    event = as_event(
        "customer.subscription.updated",
        found,
        event_id=f"{subscription_id}_{created}",
        created=created,
        api_version=gateway.api_version,
    )
    return prepare(as_delivery(event), source="fetch")
