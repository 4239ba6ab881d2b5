"""Keeps what a shadow endpoint delivers, beside the inbox: nothing of it is applied."""

from enum import StrEnum

from sqlalchemy import Connection, text

from db.endpoints import changes
from db.endpoints.changes import Purpose, State
from domain.events import Delivery


class Place(StrEnum):
    """Where a delivery of a shadow endpoint belongs."""

    SHADOW = "shadow"
    ORDINARY = "ordinary"
    NOWHERE = "nowhere"


def keep(connection: Connection, delivery: Delivery) -> Place:
    """Keep a delivery of a shadow endpoint; says where it belongs.

    It is kept here while an upgrade is under way. After the switch it is one as any other, and the
    caller stores it so. Where no upgrade waits for it, it belongs nowhere.
    """
    change = changes.last(connection)
    if change is None or change.purpose is not Purpose.UPGRADE or change.state is State.GIVEN_UP:
        return Place.NOWHERE
    if change.state in (State.SWITCHED, State.DONE):
        return Place.ORDINARY
    kept = {
        "change": change.id,
        "id": delivery.event_id,
        "type": delivery.event_type,
        "created": delivery.created,
        "body": delivery.body,
    }
    connection.execute(_KEEP, kept)
    return Place.SHADOW


_KEEP = text(
    "INSERT INTO shadow_events (change_id, id, type, created_at, body)"
    " VALUES (:change, :id, :type, to_timestamp(:created), :body)"
    " ON CONFLICT (change_id, id) DO NOTHING"
)
