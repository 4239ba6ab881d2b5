"""What `simulate` made up: no Stripe knows it, so nothing is asked about it.

Its ids and users say so, in a form that is nobody else's. The patterns are read by Python and by
PostgreSQL alike.
"""

import re

# What follows the `1` that every id begins with after its kind.
ID_MARK = "simulated"
ID_PATTERN = f"^[a-z]+_1{ID_MARK}"
# Runs of releases whose ids bear no mark are told by their users.
USER_PATTERN = "^sim-[0-9a-f]{8}-[0-9]{5}$"


def is_simulated(object_id: str, user_id: str | None) -> bool:
    """Whether an object of Stripe's, or the user whose it is, was made up."""
    return bool(re.match(ID_PATTERN, object_id) or re.match(USER_PATTERN, user_id or ""))
