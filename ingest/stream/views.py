"""Tickets for the stream, and what the stream's address answers where no event loop serves it."""

from typing import Any

import redis

from ingest.context import current_context
from ingest.http.auth import authenticate_with, current_caller
from ingest.http.problems import ProblemType
from ingest.http.routes import Routes
from ingest.stream.schemas import TicketSchema
from ingest.stream.tickets import LIFE_SECONDS, Tickets

PATH = "/billing/stream/"

NOT_NOW = ProblemType(
    503, "stream_unavailable", "Changes cannot be streamed at the moment; ask for the state."
)
TOO_MANY_STREAMS = ProblemType(
    429, "too_many_streams", "You have as many open streams as may be; close one."
)

_EVENTS = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'id: 7\nevent: tokens.changed\ndata: {"type": "tokens.changed"}\n\n',
    }
}

# The event loop reads them, not the view.
_PARAMETERS = (
    {
        "in": "query",
        "name": "ticket",
        "schema": {"type": "string"},
        "description": "In place of the token, for who cannot send headers.",
    },
    {
        "in": "query",
        "name": "last_event_id",
        "schema": {"type": "string"},
        "description": "The version that was seen last, where no `Last-Event-ID` says it.",
    },
)

routes = Routes(
    "stream",
    "Changes as they happen.",
    prefix="/billing",
    guard=authenticate_with(lambda: current_context().authenticator),
)


@routes.post("/stream/ticket/", "createStreamTicket", TicketSchema, problems=(NOT_NOW,))
def create_stream_ticket() -> dict[str, Any]:
    """Make a ticket that opens one stream.

    For browsers, whose EventSource cannot send a token: open `/billing/stream/?ticket=…` with it
    within a minute. It works once.
    """
    try:
        ticket = Tickets(current_context().redis).issue(current_caller())
    except (redis.RedisError, OSError) as error:
        raise NOT_NOW.problem() from error
    return {"ticket": ticket, "expires_in": LIFE_SECONDS}


@routes.get(
    "/stream/",
    "streamChanges",
    _EVENTS,
    parameters=_PARAMETERS,
    problems=(NOT_NOW, TOO_MANY_STREAMS),
)
def stream_changes() -> dict[str, Any]:
    """Listen to your own changes, as Server-Sent Events.

    Each event is a whole message: `event` its type, `id` its version, `data` the state as JSON.
    `ready` comes first and says where you are: ask for the state then. Come back with
    `Last-Event-ID`, or `?last_event_id=`, and you get what you missed; `reset` says that it is no
    longer kept, so ask for the state again. `delayed` and `live` say whether changes come late. A
    comment comes every 15 s. Here the token stands in the header, or a ticket in `?ticket=`. The
    stream ends with its token.
    """
    raise NOT_NOW.problem()
