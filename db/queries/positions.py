"""Where the next page of a list begins that is read by time, newest first."""

from datetime import datetime
from typing import Any

# A row's place in such a list: when it is listed, and its id.
TimedPosition = tuple[datetime, str]


def page_after(user_id: str, limit: int, after: TimedPosition | None) -> dict[str, Any]:
    """The values of a query for one user's rows after a position."""
    time, row_id = after or (None, None)
    return {"user_id": user_id, "limit": limit, "after_time": time, "after_id": row_id}
