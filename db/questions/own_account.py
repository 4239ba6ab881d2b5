"""Which Stripe account is ours, as Stripe said when it was asked for the configured key.

The key itself is not kept, only its hash, so that another key is asked about anew.
"""

from sqlalchemy import Connection, text

# What Stripe would not say is asked for again after this long.
ASK_AGAIN_SECONDS = 3_600


def known(connection: Connection, key_hash: str) -> str | None:
    """The account of the key; None where it is not known, or not yet."""
    account_id: str | None = connection.execute(_KNOWN, {"key": key_hash}).scalar_one_or_none()
    return account_id


def is_answered(connection: Connection, key_hash: str) -> bool:
    """Whether Stripe need not be asked now: it has said, or has just refused to."""
    wanted = {"key": key_hash, "seconds": ASK_AGAIN_SECONDS}
    return connection.execute(_IS_ANSWERED, wanted).one_or_none() is not None


def keep(connection: Connection, key_hash: str, account_id: str | None) -> None:
    """Remember what Stripe said, in place of what it said of any other key."""
    connection.execute(_KEEP, {"key": key_hash, "account": account_id})


_KNOWN = text("SELECT account_id FROM own_account WHERE key_hash = :key")
_IS_ANSWERED = text(
    "SELECT 1 FROM own_account WHERE key_hash = :key"
    " AND (account_id IS NOT NULL OR asked_at > now() - :seconds * interval '1 second')"
)
_KEEP = text(
    """
    INSERT INTO own_account (key_hash, account_id) VALUES (:key, :account)
    ON CONFLICT (only_row) DO UPDATE
    SET key_hash = excluded.key_hash, account_id = excluded.account_id, asked_at = now()
    """
)
