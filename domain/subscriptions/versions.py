"""Subscription versions: which of the states that Stripe reported is the newest.

Stripe gives a subscription no version number, only whole seconds on its events. A final state is
never undone; otherwise the newest second stands; within one second `previous_attributes` tells
which report came first (contract §5).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from domain.payments.claims import PlanClaim, earliest
from domain.payments.sold import Sold
from domain.subscriptions.states import Version

# The second before the newest is kept as well: it tells where the newest second began.
_SECONDS_KEPT = 2
# Orders are searched exhaustively up to here; more reports in one second fall to the fixed order.
_REPORTS_ORDERED_MAX = 6


class Subscription(NamedTuple):
    """What is known of one subscription: the reports of its two newest seconds, and all they sold.

    `sold` is what every report said of plans, trials and items, also those that were let go.
    """

    id: str
    customer_id: str | None = None
    sold: Sold = Sold()
    versions: tuple[Version, ...] = ()

    @property
    def plan_claim(self) -> PlanClaim | None:
        """The plan that metadata named first."""
        return self.sold.claim

    def claim_by(self, version: Version | None) -> PlanClaim | None:
        """The plan that this report names, else the first; with who named it first."""
        named = version.state.plan_id if version else None
        if named is None or named not in self.sold.claims:
            return self.plan_claim
        return PlanClaim(self.sold.claims[named], named)

    def join(self, other: "Subscription") -> "Subscription":
        """Both bodies of knowledge as one; older seconds are let go."""
        by_event = {version.event_id: version for version in (*self.versions, *other.versions)}
        return Subscription(
            id=self.id,
            customer_id=earliest(self.customer_id, other.customer_id),
            sold=self.sold.join(other.sold),
            versions=_newest_seconds(by_event.values()),
        )

    def newest(self) -> "tuple[Version | None, bool]":
        """The report that stands, and whether Stripe must be asked for the state.

        So it is where the order of its second stays undecided, or where its items are cut.
        """
        if not self.versions:
            return None, False
        first, *others = self.versions
        if not others or _second(others[0]) != _second(first):
            # Alone in its second, as nearly every report is.
            return first, first.is_cut
        seconds = [list(group) for _, group in groupby(self.versions, key=_second)]
        # What stood before only helps to order several.
        base = _pick(seconds[1], None)[0] if len(seconds) > 1 else None
        version, is_toss = _pick(seconds[0], base)
        return version, is_toss or version.is_cut


def _second(version: Version) -> tuple[bool, int]:
    return (version.is_final, version.created)


def _newest_seconds(versions: Iterable[Version]) -> tuple[Version, ...]:
    """The reports of the newest seconds, newest first; of one second by event id."""
    keyed = sorted(
        ((_second(version), version.event_id, version) for version in versions),
        key=itemgetter(0, 1),
        reverse=True,
    )
    kept: list[Version] = []
    seconds: list[tuple[bool, int]] = []
    for second, _, version in keyed:
        if seconds[-1:] != [second]:
            if len(seconds) == _SECONDS_KEPT:
                break
            seconds.append(second)
        kept.append(version)
    return tuple(kept)


def _pick(reports: Sequence[Version], base: Version | None) -> tuple[Version, bool]:
    """The last of several reports of one second; the flag says that it was a toss."""
    candidates = [report for report in reports if report.is_deleted] or list(reports)
    greatest = max(candidates, key=_fixed_order)
    if len(candidates) == 1:
        return greatest, False
    if len(candidates) > _REPORTS_ORDERED_MAX:
        return greatest, True
    lasts = _possible_lasts(candidates, base)
    last = max(lasts or _not_superseded(candidates), key=_fixed_order)
    return last, not (lasts and all(other.state == last.state for other in lasts))


def _fixed_order(version: Version) -> tuple[bool, str]:
    return (not version.is_first, version.event_id)


def _possible_lasts(reports: Sequence[Version], base: Version | None) -> list[Version]:
    """Every report that ends an order in which each one follows from the one before."""
    if base is not None:
        anchored = {order[-1].event_id: order[-1] for order in _orders(reports, base)}
        if anchored:
            return list(anchored.values())
    return list({order[-1].event_id: order[-1] for order in _orders(reports, None)}.values())


def _orders(reports: Sequence[Version], before: Version | None) -> Iterator[list[Version]]:
    if not reports:
        yield []
        return
    for index, report in enumerate(reports):
        if before is not None and not _follows(report, before):
            continue
        rest = [*reports[:index], *reports[index + 1 :]]
        for order in _orders(rest, report):
            yield [report, *order]


def _follows(later: Version, earlier: Version) -> bool:
    if later.is_first:
        return False
    if not later.previous:
        # A report such as `trial_will_end` tells of no change, so the state before was the same.
        return later.state == earlier.state
    return matches(later.previous, earlier.object)


def _not_superseded(reports: Sequence[Version]) -> Sequence[Version]:
    """The reports that no other one clearly follows; all of them when that leaves none."""
    open_ended = [
        report
        for report in reports
        if not any(
            other.previous and other is not report and _follows(other, report) for other in reports
        )
    ]
    return open_ended or reports


def matches(previous: object, state: object) -> bool:
    """Whether old values, as `previous_attributes` gives them, are those of a state.

    Objects are compared by the keys given, lists as a whole; null and absent are the same.
    """
    # Parsed JSON, in which an object is a dict.
    if isinstance(previous, dict):
        if not isinstance(state, dict):
            return not previous or all(value is None for value in previous.values())
        return all(matches(value, state.get(key)) for key, value in previous.items())
    return previous == state
