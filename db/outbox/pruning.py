"""Deletes messages that are old and that everybody has."""

from sqlalchemy import Connection, text

# For so long a stream can be resumed and a message be sent again.
KEPT_DAYS = 3
# A destination that was not told by then, because it is paused, is told from the next change on.
KEPT_DAYS_MAX = 30


def prune(connection: Connection, *, limit: int = 5_000) -> int:
    """Delete some of what is old and told; returns how many, fewer than `limit` at the end."""
    days = {"kept": KEPT_DAYS, "longest": KEPT_DAYS_MAX, "limit": limit}
    return int(connection.execute(_PRUNE, days).rowcount)


_PRUNE = text(
    """
    DELETE FROM outbox WHERE (user_id, version) IN (
        SELECT old.user_id, old.version FROM outbox AS old
        JOIN outbox_users USING (user_id)
        WHERE old.created_at < now() - make_interval(days => :kept)
          AND (old.created_at < now() - make_interval(days => :longest)
               OR NOT (outbox_users.is_pending AND EXISTS (SELECT FROM destinations))
                  AND NOT EXISTS (
                      SELECT FROM destination_users AS heard
                      WHERE heard.user_id = old.user_id AND heard.version < old.version
                        AND heard.next_attempt_at IS NOT NULL)
                  AND NOT EXISTS (
                      SELECT FROM destination_resends AS again
                      WHERE again.user_id = old.user_id AND again.version = old.version))
        LIMIT :limit)
    """
)
