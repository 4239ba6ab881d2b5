"""Subscription schedules: what a contract is to become, phase by phase."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.simulate.contract_records import Customer, Subscription

Json = dict[str, Any]
OPEN = frozenset({"not_started", "active"})


@dataclass(frozen=True, slots=True)
class Phase:
    """What is billed from one moment to another: prices by id, with how many of each."""

    start: int
    end: int
    items: tuple[tuple[str, int], ...]
    proration: str = "create_prorations"
    metadata: dict[str, str] = field(default_factory=dict)
    trial_end: int | None = None


@dataclass(slots=True)
class Schedule:
    """A plan of phases; `place` is the one that runs."""

    id: str
    customer: Customer
    created: int
    phases: tuple[Phase, ...]
    end_behavior: str = "release"
    subscription: Subscription | None = None
    status: str = "not_started"
    place: int = 0
    canceled_at: int | None = None
    completed_at: int | None = None
    released_at: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def phase(self) -> Phase:
        """The phase that runs, or the first one to come."""
        return self.phases[self.place]


def schedule_object(schedule: Schedule) -> Json:
    """Draw a schedule."""
    running, contract = schedule.status == "active", schedule.subscription
    now = {"end_date": schedule.phase.end, "start_date": schedule.phase.start}
    released = schedule.status == "released"
    return {
        "id": schedule.id,
        "object": "subscription_schedule",
        "application": None,
        "billing_mode": {"type": "flexible", "flexible": None},
        "canceled_at": schedule.canceled_at,
        "completed_at": schedule.completed_at,
        "created": schedule.created,
        "current_phase": now if running else None,
        "customer": schedule.customer.id,
        "customer_account": None,
        "default_settings": {
            "application_fee_percent": None,
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": None,
            "collection_method": "charge_automatically",
            "default_payment_method": None,
            "description": None,
            "invoice_settings": _INVOICES,
            "on_behalf_of": None,
            "transfer_data": None,
        },
        "end_behavior": schedule.end_behavior,
        "livemode": False,
        "metadata": dict(schedule.metadata),
        "pause_schedules": [],
        "phases": [_phase(one, schedule.customer.currency or "usd") for one in schedule.phases],
        "released_at": schedule.released_at,
        "released_subscription": contract.id if contract and released else None,
        "status": schedule.status,
        "subscription": contract.id if contract and not released else None,
        "test_clock": None,
    }


_INVOICES: Json = {
    "account_tax_ids": None,
    "custom_fields": None,
    "days_until_due": None,
    "description": None,
    "footer": None,
    "issuer": {"type": "self"},
}


def _phase(phase: Phase, currency: str) -> Json:
    return {
        "add_invoice_items": [],
        "application_fee_percent": None,
        "billing_cycle_anchor": None,
        "billing_thresholds": None,
        "collection_method": None,
        "currency": currency,
        "default_payment_method": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "end_date": phase.end,
        "invoice_settings": None,
        "items": [
            {
                "billing_thresholds": None,
                "discounts": [],
                "metadata": {},
                "plan": price,
                "price": price,
                "quantity": quantity,
                "tax_rates": [],
            }
            for price, quantity in phase.items
        ],
        "metadata": dict(phase.metadata),
        "on_behalf_of": None,
        "proration_behavior": phase.proration,
        "start_date": phase.start,
        "transfer_data": None,
        "trial_end": phase.trial_end,
    }
