"""What happens by a schedule: contracts begin, change and end when their phases do. No I/O."""

from collections.abc import Callable, Iterator

from sandbox.simulate.contract_records import Price, Subscription
from sandbox.simulate.objects import subscription_object
from sandbox.stripe.billing.changing import Change
from sandbox.stripe.billing.schedules import OPEN, Phase, Schedule, schedule_object
from sandbox.stripe.billing.signing import Deal, Signing


class Scheduling(Signing):
    """Contracts that follow a plan of phases."""

    def open_schedule(self, schedule: Schedule) -> None:
        """Begin to follow a schedule."""
        self.keep(schedule)
        if schedule.subscription:
            schedule.status = "active"
            self._bind(schedule.subscription, schedule.id)
        self._tell(schedule, "created")

    def follow(self, schedule: Schedule) -> None:
        """Do what a schedule wants now: begin, go into the next phase, or end."""
        if schedule.status == "not_started":
            self._begin(schedule)
        elif schedule.place + 1 < len(schedule.phases):
            schedule.place += 1
            self._enter(schedule, schedule.phase)
            self._tell(schedule, "updated")
        else:
            self._complete(schedule)

    def release(self, schedule: Schedule) -> None:
        """Leave a contract as it is, and follow the schedule no more."""
        self._unbind(schedule)
        schedule.status, schedule.released_at = "released", self.now
        self._tell(schedule, "released")

    def cancel_schedule(self, schedule: Schedule) -> None:
        """End a schedule, and its contract with it."""
        self._unbind(schedule)
        schedule.status, schedule.canceled_at = "canceled", self.now
        if schedule.subscription and schedule.subscription.ended_at is None:
            self.close(schedule.subscription)
        self._tell(schedule, "canceled")

    def due_by_schedule(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """When each schedule wants something next, and what."""
        for schedule in self.records.values():
            if not isinstance(schedule, Schedule) or schedule.status not in OPEN:
                continue
            phase = schedule.phase
            waits = schedule.status == "not_started"
            yield phase.start if waits else phase.end, self._following(schedule)

    def _following(self, schedule: Schedule) -> Callable[[], None]:
        return lambda: self.follow(schedule)

    def _begin(self, schedule: Schedule) -> None:
        phase = schedule.phase
        deal = Deal(
            customer=schedule.customer,
            lines=tuple((self._price(price), count) for price, count in phase.items),
            metadata=dict(phase.metadata),
            trial_end=phase.trial_end,
        )
        schedule.subscription = self.sign(deal)
        schedule.status = "active"
        self._bind(schedule.subscription, schedule.id)
        self._tell(schedule, "updated")

    def _enter(self, schedule: Schedule, phase: Phase) -> None:
        contract = schedule.subscription
        if contract is None or contract.ended_at is not None:
            return
        held = contract.items
        changes = [
            Change(held[place].id if place < len(held) else "", self._price(price), count)
            for place, (price, count) in enumerate(phase.items)
        ]
        changes += [Change(one.id, deleted=True) for one in held[len(phase.items) :]]
        if phase.metadata:
            contract.metadata = contract.metadata | phase.metadata
        self.change_items(contract, changes, phase.proration)

    def _complete(self, schedule: Schedule) -> None:
        if schedule.end_behavior == "release":
            self.release(schedule)
            return
        self._unbind(schedule)
        schedule.status, schedule.completed_at = "completed", self.now
        if schedule.subscription and schedule.subscription.ended_at is None:
            self.close(schedule.subscription)
        self._tell(schedule, "completed")

    def _bind(self, subscription: Subscription, schedule_id: str | None) -> None:
        before = subscription_object(subscription)
        subscription.stated = subscription.stated | {"schedule": schedule_id}
        self.report(subscription, before, by_stripe=False)

    def _unbind(self, schedule: Schedule) -> None:
        if schedule.subscription:
            self._bind(schedule.subscription, None)

    def _price(self, price_id: str) -> Price:
        price = self.get(Price, price_id)
        if price is None:
            raise KeyError(price_id)
        return price

    def _tell(self, schedule: Schedule, what: str) -> None:
        drawn = schedule_object(schedule)
        self.emit(f"subscription_schedule.{what}", drawn, schedule.customer)
