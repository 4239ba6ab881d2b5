"""Whether the Stripe account that is asked today is the one that the data came from."""

from collections.abc import Iterator

from sqlalchemy import Engine

from db.operations import customers
from stripe_gateway import StripeGateway, StripeMissing
from workers.operations.findings import Finding, Level

# So many of the oldest and of the newest are asked about: either end tells of a change.
_ASKED_OF_EACH_END = 3
_CURE = (
    "use the key of the account that the data is of, or other data:"
    " `--data DIR`, or `up --fresh` to begin anew"
)


def known_customers(engine: Engine, gateway: StripeGateway) -> list[Finding]:
    """Whether Stripe knows our customers; nothing where there are none.

    Raises `StripeUnavailable`.
    """
    with engine.connect() as connection:
        ids = customers.sample(connection, _ASKED_OF_EACH_END)
    unknown = list(_unknown(gateway, ids))
    if not unknown:
        return []
    says = (
        f"this Stripe account does not know {len(unknown)} of {len(ids)} customers asked about,"
        f" such as {unknown[0]}: they bought at another account, and can neither change nor"
        " cancel here"
    )
    return [Finding("customers", Level.WARN, says, _CURE)]


def _unknown(gateway: StripeGateway, ids: list[str]) -> Iterator[str]:
    for customer_id in ids:
        try:
            gateway.customer(customer_id)
        except StripeMissing:
            yield customer_id
