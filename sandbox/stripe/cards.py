"""What becomes of a test card: pays, is declined, asks for authentication, fails later.

Knows test numbers only, so a real card is refused like any other number that is none.
"""

from dataclasses import dataclass

# Stands where a card would, for a customer who pays by bank debit.
DEBIT = "sepa_debit"


@dataclass(frozen=True, slots=True)
class Card:
    """How a number behaves; `decline_code` None means that it pays at the checkout.

    `code` is what Stripe says of a decline besides the bank's own word for it.
    """

    number: str
    brand: str = "visa"
    decline_code: str | None = None
    message: str = "Your card was declined."
    authenticates: bool = False
    fails_later: bool = False
    code: str = "card_declined"

    @property
    def last4(self) -> str:
        """The last four digits; of a bank account where it is none."""
        return self.number[-4:] if self.number.isdigit() else "3000"


_CARDS = (
    Card("4242424242424242"),
    Card("4000056655665556"),
    Card("5555555555554444", brand="mastercard"),
    Card("378282246310005", brand="amex"),
    Card("6011111111111117", brand="discover"),
    Card("4000002500003155", authenticates=True),
    Card("4000002760003184", authenticates=True),
    Card(
        "4000000000009995",
        decline_code="insufficient_funds",
        message="Your card has insufficient funds.",
    ),
    Card("4000000000000002", decline_code="generic_decline"),
    Card("4000000000009987", decline_code="lost_card"),
    Card("4000000000009979", decline_code="stolen_card"),
    Card(
        "4000000000000069",
        decline_code="expired_card",
        code="expired_card",
        message="Your card has expired.",
    ),
    Card(
        "4000000000000127",
        decline_code="incorrect_cvc",
        code="incorrect_cvc",
        message="Your card's security code is incorrect.",
    ),
    Card(
        "4000000000000119",
        decline_code="processing_error",
        code="processing_error",
        message="An error occurred while processing your card. Try again in a little bit.",
    ),
    Card("4000000000006975", decline_code="card_velocity_exceeded"),
    Card("4000000000000341", fails_later=True),
    Card(DEBIT),
)
_BY_NUMBER = {card.number: card for card in _CARDS}
# Stripe's names for test cards, which save a test from typing numbers; `tok_…` is as good.
_BY_NAME = {
    "visa": "4242424242424242",
    "visa_debit": "4000056655665556",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "discover": "6011111111111117",
    "authenticationRequired": "4000002760003184",
    "threeDSecure2Required": "4000002500003155",
    "visa_chargeDeclined": "4000000000000002",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedLostCard": "4000000000009987",
    "chargeDeclinedLostCard": "4000000000009987",
    "visa_chargeDeclinedStolenCard": "4000000000009979",
    "chargeDeclinedStolenCard": "4000000000009979",
    "chargeDeclinedExpiredCard": "4000000000000069",
    "chargeDeclinedIncorrectCvc": "4000000000000127",
    "chargeDeclinedProcessingError": "4000000000000119",
    "visa_chargeDeclinedVelocityLimitExceeded": "4000000000006975",
    "chargeDeclinedVelocityLimitExceeded": "4000000000006975",
    "chargeCustomerFail": "4000000000000341",
}


def card_of(number: str) -> Card | None:
    """The card behind a number as typed, blanks and all; None where the number is none of ours."""
    return _BY_NUMBER.get(number.replace(" ", "").replace("-", ""))


def card_named(name: str) -> Card | None:
    """The card behind a name such as `pm_card_visa` or `tok_visa`."""
    for prefix in ("pm_card_", "tok_"):
        if name.startswith(prefix):
            return card_of(_BY_NAME.get(name.removeprefix(prefix), ""))
    return None
