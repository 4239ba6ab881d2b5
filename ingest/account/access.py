"""What a user may use: the features of their plans, why, and until when.

The token alone decides whose access is shown.
"""

import time
from typing import Any

from db.access.held import held_by
from db.access.shown import shown
from domain.access.access import access
from ingest.account.access_schemas import AccessSchema
from ingest.context import current_context
from ingest.http.auth import authenticate_with, current_caller
from ingest.http.routes import Routes

routes = Routes(
    "access",
    "What a user may use.",
    prefix="/billing",
    guard=authenticate_with(lambda: current_context().authenticator),
)


@routes.get("/access/", "getAccess", AccessSchema)
def get_access() -> dict[str, Any]:
    """Show what the caller may use.

    Every feature of the catalogue with its limit, the reason, and when that changes by itself: the
    end of a grace, or of a period that was canceled. Ask again then, or hear of `access.changed`.
    """
    context, user_id = current_context(), current_caller().user_id
    with context.engine.connect() as connection:
        catalogue = context.catalogue.get(connection)
        held = held_by(connection, [user_id], catalogue)[user_id]
    return shown(access(held, catalogue, int(time.time())))
