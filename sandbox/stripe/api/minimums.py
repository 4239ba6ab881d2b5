"""The least that Stripe collects at once, by currency."""

from domain.money import money
from sandbox.stripe.errors import Refusal, invalid

# In minor units; what is not named here has no bound of its own.
_LEAST = {
    **dict.fromkeys(("usd", "aud", "brl", "cad", "chf", "eur", "inr", "nzd", "sgd"), 50),
    "aed": 200,
    "bgn": 100,
    "czk": 1500,
    "dkk": 250,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "thb": 1000,
}
AMOUNT_MAX = 99_999_999


def check_amount(amount: int, currency: str, param: str | None = "amount") -> None:
    """Refuse what is too little, or too much, to be collected."""
    least = _LEAST.get(currency, 1)
    if amount < least:
        raise _too_small(f"Amount must be at least {money(least, currency)} {currency}", param)
    if amount > AMOUNT_MAX:
        message = f"Amount must be no more than {money(AMOUNT_MAX, currency)} {currency}"
        raise invalid(message, param, "amount_too_large")


def check_session(amount: int, currency: str) -> None:
    """Refuse a checkout session that would collect too little; nothing at all is no payment."""
    least = _LEAST.get(currency, 1)
    if 0 < amount < least:
        message = "The Checkout Session's total amount due must add up to at least"
        raise _too_small(f"{message} {money(least, currency)} {currency}", None)


def _too_small(message: str, param: str | None) -> Refusal:
    return invalid(message, param, "amount_too_small")
