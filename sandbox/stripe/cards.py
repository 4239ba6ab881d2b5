"""What becomes of a test card: pays, is declined, asks for authentication, fails later.

Knows test numbers only, so a real card is refused like any other number that is none.
"""

from dataclasses import dataclass

# Stands where a card would, for a customer who pays by bank debit.
DEBIT = "sepa_debit"


@dataclass(frozen=True, slots=True)
class Card:
    """How a number behaves; `decline_code` None means that it pays at the checkout."""

    number: str
    brand: str = "visa"
    decline_code: str | None = None
    message: str = "Your card was declined."
    authenticates: bool = False
    fails_later: bool = False


_CARDS = (
    Card("4242424242424242"),
    Card("5555555555554444", brand="mastercard"),
    Card("4000002500003155", authenticates=True),
    Card(
        "4000000000009995",
        decline_code="insufficient_funds",
        message="Your card has insufficient funds.",
    ),
    Card("4000000000000002", decline_code="generic_decline"),
    Card("4000000000000341", fails_later=True),
    Card(DEBIT),
)
_BY_NUMBER = {card.number: card for card in _CARDS}


def card_of(number: str) -> Card | None:
    """The card behind a number as typed, blanks and all; None where the number is none of ours."""
    return _BY_NUMBER.get(number.replace(" ", "").replace("-", ""))
