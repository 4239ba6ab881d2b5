"""Which customers are known here; read to see whether a Stripe account knows them too."""

from sqlalchemy import Connection, text

from domain.subscriptions.simulated import ID_PATTERN, USER_PATTERN


def sample(connection: Connection, limit: int) -> list[str]:
    """The oldest and the newest customers that are somebody's, at most `limit` of each.

    Those that were deleted or simulated are left out.
    """
    rows = connection.execute(
        _SAMPLE, {"limit": limit, "id_pattern": ID_PATTERN, "user_pattern": USER_PATTERN}
    )
    return list(rows.scalars())


_SAMPLE = text(
    """
    WITH known AS (
        SELECT id, claimed_created FROM customers
        WHERE user_id IS NOT NULL AND deleted_at IS NULL AND NOT starts_with(id, 'acct_')
          AND id !~ :id_pattern AND user_id !~ :user_pattern
    )
    (SELECT id FROM known ORDER BY claimed_created DESC, id LIMIT :limit)
    UNION
    (SELECT id FROM known ORDER BY claimed_created, id LIMIT :limit)
    """
)
