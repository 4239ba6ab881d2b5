"""How deliveries of a shadow endpoint are told apart: by a query on the URL they come to.

Stripe signs the body and not the URL, so the query decides nothing but where a signed event is
kept. It can be taken off an endpoint that is there, which a secret cannot: so a shadow endpoint
becomes the ordinary one without a new setting and without a restart.
"""

from urllib.parse import urlsplit, urlunsplit

PAIR = "shadow=1"


def is_shadow(query: str) -> bool:
    """Whether a query is of a shadow endpoint's URL."""
    return PAIR in query.split("&")


def shadowed(url: str) -> str:
    """The URL for a shadow endpoint beside the one of this URL."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=f"{parts.query}&{PAIR}" if parts.query else PAIR))
