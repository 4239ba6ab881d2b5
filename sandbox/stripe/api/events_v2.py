"""Events as API v2 answers with them: thin ones, whole."""

from sandbox.simulate.thin import ID_PREFIX, thin_event
from sandbox.stripe.api.calls import Call, Endpoint, Found, Json
from sandbox.stripe.api.parameters import NOTHING, Group, Many, text, whole
from sandbox.stripe.errors import no_such
from sandbox.stripe.log import Posted

_TYPES_MAX = 20
_LIST = Group({"limit": whole, "object_id": text, "types": Many(text, most=_TYPES_MAX)})


def event_object(posted: Posted) -> Json:
    """Draw a thin event as it is fetched; its snapshot event is always named."""
    event = posted.event
    if event.type.startswith("v2."):
        return event.payload
    previous = event.payload["data"].get("previous_attributes")
    drawn = event.payload["data"]["object"]
    changes = previous and {
        "before": previous,
        "after": {key: drawn.get(key) for key in previous},
    }
    return {**thin_event(event, posted.millisecond), "changes": changes}


def _posted(call: Call) -> Posted:
    # A thin event of ours is named after the snapshot event; those of v2 have a name of their own.
    posted = call.log.get(call.id) or call.log.get(f"evt_{call.id.removeprefix(ID_PREFIX)}")
    if posted is None or not call.id.startswith(ID_PREFIX):
        raise no_such("event", call.id, "id")
    return posted


def _events(call: Call) -> Found:
    params = call.params
    drawn = [event_object(one) for one in reversed(call.log.posted)]
    wanted = [
        one
        for one in drawn
        if params.get("object_id") in (None, (one["related_object"] or {}).get("id"))
        and (not params.get("types") or one["type"] in params["types"])
    ]
    limit = params.get("limit", 20)
    return {"data": wanted[:limit], "next_page_url": None, "previous_page_url": None}


ENDPOINTS = (
    Endpoint("GET", "/v2/core/events", _LIST, _events),
    Endpoint("GET", "/v2/core/events/<id>", NOTHING, lambda call: event_object(_posted(call))),
)
