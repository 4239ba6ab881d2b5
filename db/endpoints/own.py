"""Which webhook endpoint at Stripe is ours; of its secret only a hash is kept."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class OwnEndpoint:
    """The endpoint that `create` made or found; `secret_hash` is None where we never saw it."""

    id: str
    kind: str
    url: str
    style: str
    secret_hash: str | None


def noted(connection: Connection) -> OwnEndpoint | None:
    """Our endpoint; None where none was ever noted."""
    row = connection.execute(_NOTED).one_or_none()
    return OwnEndpoint(*row) if row else None


def note(connection: Connection, endpoint: OwnEndpoint) -> None:
    """Remember which endpoint is ours, in place of the one before.

    A hash that is known stays where the same endpoint is noted without one.
    """
    connection.execute(
        _NOTE,
        {
            "id": endpoint.id,
            "kind": endpoint.kind,
            "url": endpoint.url,
            "style": endpoint.style,
            "hash": endpoint.secret_hash,
        },
    )


def hash_of(secret: str) -> str:
    """What stands for a secret where the secret itself must not be."""
    return hashlib.sha256(secret.encode()).hexdigest()


_NOTED = text("SELECT id, kind, url, style, secret_hash FROM own_endpoint")
_NOTE = text(
    """
    INSERT INTO own_endpoint AS known (id, kind, url, style, secret_hash)
    VALUES (:id, :kind, :url, :style, :hash)
    ON CONFLICT (only_row) DO UPDATE
    SET id = excluded.id, kind = excluded.kind, url = excluded.url, style = excluded.style,
        noted_at = now(), secret_hash = CASE WHEN known.id = excluded.id
            THEN coalesce(excluded.secret_hash, known.secret_hash) ELSE excluded.secret_hash END
    """
)
