"""Cards that wait for their bank's page: kept in memory, and no longer than the buyer takes."""

# Buyers who left their bank's page open are forgotten beyond this number.
WAITING_MAX = 1_000


class Authentications:
    """Which card is to be authenticated for which payment; threads may share one."""

    def __init__(self) -> None:
        self._cards: dict[str, str] = {}

    def remember(self, payment: str, card: str) -> None:
        """Keep a card's number for a payment until it is taken."""
        self._cards[payment] = card
        while len(self._cards) > WAITING_MAX:
            self._cards.pop(next(iter(self._cards)), None)

    def card(self, payment: str) -> str | None:
        """The card that waits for this payment."""
        return self._cards.get(payment)

    def take(self, payment: str) -> str | None:
        """The card that waits for this payment, which then no longer does."""
        return self._cards.pop(payment, None)
