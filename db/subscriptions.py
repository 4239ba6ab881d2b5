"""Subscriptions whose newest second could not be put in order."""

from sqlalchemy import Connection, text


def undecided(connection: Connection, limit: int) -> list[str]:
    """The ids of up to `limit` subscriptions that Stripe should be asked about."""
    rows = connection.execute(
        text("SELECT id FROM subscriptions WHERE undecided ORDER BY id LIMIT :limit"),
        {"limit": limit},
    )
    return [row.id for row in rows]


def give_up(connection: Connection, subscription_id: str) -> None:
    """Leave a subscription to the fixed order; its next event decides anew."""
    connection.execute(
        text("UPDATE subscriptions SET undecided = false WHERE id = :id"), {"id": subscription_id}
    )
