"""The API versions the simulated account speaks, and what each one changes in an event.

Never guesses: every difference is a date Stripe published, compared with the version's own date.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """One version of Stripe's API, by its full name such as `2025-09-30.clover`."""

    name: str

    @property
    def basil(self) -> bool:
        """Whether invoices, periods and payment links live at their newer paths."""
        return self.name[:10] >= "2025-03-31"

    @property
    def refund_events(self) -> bool:
        """Whether `refund.created`, `.updated` and `.failed` are sent for card refunds."""
        return self.name[:10] >= "2024-10-28"

    @property
    def invoice_payments(self) -> bool:
        """Whether `invoice_payment.paid` is sent."""
        return self.name[:10] >= "2025-05-28"

    @property
    def discount_source(self) -> bool:
        """Whether a discount names its coupon under `source`."""
        return self.name[:10] >= "2025-09-30"

    @property
    def customer_accounts(self) -> bool:
        """Whether `customer_account` names the payer beside `customer`."""
        return self.name[:10] >= "2025-12-15"

    @property
    def decimal_quantities(self) -> bool:
        """Whether an invoice line says its quantity in decimals too."""
        return self.name[:10] >= "2026-03-25"

    @property
    def hosted_page(self) -> bool:
        """Whether a session's `ui_mode` says `hosted_page` instead of `hosted`."""
        return self.name[:10] >= "2026-03-25"

    @property
    def real_pause(self) -> bool:
        """Whether a subscription can be paused on request."""
        return self.name[:10] >= "2026-09-30"


# The types that an endpoint is told only since a version; all others always were.
_TOLD_SINCE = {
    "invoice_payment.paid": "2025-05-28",
    "refund.created": "2024-10-28",
    "refund.failed": "2024-10-28",
    "refund.updated": "2024-10-28",
}


def is_told(kind: str, version: ApiVersion) -> bool:
    """Whether an endpoint of a version is told events of a type."""
    return version.name[:10] >= _TOLD_SINCE.get(kind, "")


OLD = (ApiVersion("2024-06-20"), ApiVersion("2025-02-24.acacia"))
NEW = (ApiVersion("2025-09-30.clover"), ApiVersion("2026-10-28.endive"))

EVERY = tuple(
    ApiVersion(name)
    for name in (
        "2024-06-20",
        "2024-09-30.acacia",
        "2024-10-28.acacia",
        "2024-11-20.acacia",
        "2024-12-18.acacia",
        "2025-01-27.acacia",
        "2025-02-24.acacia",
        "2025-03-31.basil",
        "2025-04-30.basil",
        "2025-05-28.basil",
        "2025-06-30.basil",
        "2025-07-30.basil",
        "2025-08-27.basil",
        "2025-09-30.clover",
        "2025-10-29.clover",
        "2025-11-17.clover",
        "2025-12-15.clover",
        "2026-03-25.dahlia",
        "2026-05-27.dahlia",
        "2026-09-30.endive",
        "2026-10-28.endive",
    )
)
"""The versions an endpoint can have been made with, oldest first."""

# What an endpoint can be chosen to speak: some versions at random, or one by its name.
BY_CHOICE: dict[str, tuple[ApiVersion, ...]] = {
    "old": OLD,
    "new": NEW,
    "mixed": OLD + NEW,
    "every": EVERY,
    **{version.name: (version,) for version in EVERY},
}
