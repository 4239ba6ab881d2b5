"""Which Stripe account is ours; the worker ignores events of others.

A task of its own asks Stripe, never a drain. A drain reads the answer that is stored.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

import telemetry
from db.questions import own_account as tables
from domain.json_values import text_of
from settings import Settings
from stripe_gateway import (
    StripeGateway,
    StripeKeyRefused,
    StripeMissing,
    StripeRefused,
    key_hash,
)

log = telemetry.get_logger("account")


@dataclass(slots=True)
class OwnAccount:
    """Our account: that of the key; where Stripe has not told it, the one of the settings.

    `setting` is STRIPE_ACCOUNT, `key_hash` stands for the key; None where there is none.
    """

    setting: str | None = None
    key_hash: str | None = None
    _of_key: str | None = None

    def read(self, connection: Connection) -> str | None:
        """Our account's id as far as it is known now; the database is asked until it is."""
        if self._of_key is None and self.key_hash is not None:
            self._of_key = tables.known(connection, self.key_hash)
        return self._of_key or self.setting


def configured(settings: Settings) -> OwnAccount:
    """Our account by these settings."""
    return OwnAccount(settings.stripe_account or None, key_hash(settings))


def read(settings: Settings, engine: Engine) -> str | None:
    """Our account's id as far as it is known, for a command."""
    with engine.connect() as connection:
        return configured(settings).read(connection)


def is_wanted(engine: Engine, own: OwnAccount) -> bool:
    """Whether Stripe has not said yet whose the key is."""
    if own.key_hash is None:
        return False
    with engine.connect() as connection:
        return not tables.is_answered(connection, own.key_hash)


def ask(engine: Engine, own: OwnAccount, gateway: StripeGateway) -> None:
    """Ask Stripe whose the key is; call outside of any drain. Raises `StripeUnavailable`."""
    if own.key_hash is None:
        return
    try:
        account_id = text_of(gateway.account().get("id"))
    except (StripeKeyRefused, StripeMissing, StripeRefused) as error:
        # A restricted key may not be allowed to ask.
        cure = "set STRIPE_ACCOUNT"
        log.warning("stripe does not tell the account of the key", detail=error.detail, cure=cure)
        account_id = None
    with engine.begin() as connection:
        tables.keep(connection, own.key_hash, account_id)
    log.info("own account", account=account_id)
