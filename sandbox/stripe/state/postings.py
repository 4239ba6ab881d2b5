"""The account's events in its file, and what became of each at every endpoint."""

import sqlite3
from dataclasses import replace

from sandbox.simulate.engine import Event
from sandbox.stripe.destinations import DEFAULT_ID
from sandbox.stripe.log import Posted, Posting


def events(connection: sqlite3.Connection) -> list[Posted]:
    """Every event, oldest first."""
    thin_only = {row[0] for row in connection.execute("SELECT position FROM thin_only")}
    rows = connection.execute(
        "SELECT position, id, type, created, customer, user, body, delivery, attempts, answer"
        " FROM events ORDER BY position"
    )
    # Releases with a single endpoint kept what became of a delivery with the event.
    posted = {
        row[0]: Posted(
            row[0],
            replace(Event(*row[1:7]), thin_only=row[0] in thin_only),
            postings={DEFAULT_ID: Posting(*row[7:])} if row[7] else {},
        )
        for row in rows
    }
    for position, name, *state in connection.execute("SELECT * FROM postings"):
        posted[position].postings[name] = Posting(*state)
    for position, version, body in connection.execute("SELECT * FROM renditions"):
        posted[position].renditions[version] = body
    return list(posted.values())


def add(connection: sqlite3.Connection, one: Posted) -> None:
    """Keep an event that has just happened."""
    event = one.event
    connection.execute(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, '', 0, '')",
        (
            *(one.position, event.id, event.type, event.created),
            *(event.customer_id, event.user_id, event.body),
        ),
    )
    if event.thin_only:
        connection.execute("INSERT INTO thin_only VALUES (?)", (one.position,))
    for version, body in one.renditions.items():
        connection.execute("INSERT INTO renditions VALUES (?, ?, ?)", (one.position, version, body))
    for name in one.postings:
        keep(connection, one, name)


def keep(connection: sqlite3.Connection, one: Posted, name: str) -> None:
    """Keep the state of one event's delivery to an endpoint."""
    posting = one.postings[name]
    connection.execute(
        "INSERT OR REPLACE INTO postings VALUES (?, ?, ?, ?, ?)",
        (one.position, name, posting.delivery, posting.attempts, posting.answer),
    )
