"""Between the domain's values and the rows that keep them: each column is named once."""

from db.ledger.rows.money import (
    MONEY_COLUMNS,
    PAYMENTS,
    money_facts,
    money_from,
    payment_from,
    payment_row,
)
from db.ledger.rows.money_back import CREDIT_NOTES, DISPUTES, REFUNDS
from db.ledger.rows.parties import (
    CUSTOMERS,
    SUBSCRIPTION_COLUMNS,
    subscription_from,
    subscription_row,
)
from db.ledger.rows.record import Record, Row
from db.ledger.rows.times import seconds, when

__all__ = [
    "CREDIT_NOTES",
    "CUSTOMERS",
    "DISPUTES",
    "MONEY_COLUMNS",
    "PAYMENTS",
    "REFUNDS",
    "SUBSCRIPTION_COLUMNS",
    "Record",
    "Row",
    "money_facts",
    "money_from",
    "payment_from",
    "payment_row",
    "seconds",
    "subscription_from",
    "subscription_row",
    "when",
]
