"""What Stripe is asked about a noticed object, and its answer as events.

Most objects only ever gain: what an invoice, a session or a dispute is now includes all that it
was, so the object answers every notice of it at once. Of a subscription, a customer and a refund
it matters what they said at the time, and they carry no version: of these the snapshot event is
asked for, one of each second, the newest first. Where that is not to be had the object answers.

Nothing here runs inside a transaction. Every function may raise `StripeUnavailable`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from db.questions.notices import Asking, Noticed
from domain.decode import DECODERS, notices
from domain.json_values import mapping_of, text_of
from domain.synthetic_events.answers import Json, event_of_notice
from stripe_gateway import Answer, StripeGateway, StripeMissing
from workers.questions.fetch import with_whole_list

# The types whose object may say less today than it did then.
_OF_THE_TIME = ("customer.", "refund.", "charge.refund.")


@dataclass(frozen=True, slots=True)
class Told:
    """What Stripe told: events to be applied, and the name of the answer to each notice, by id.

    `failed_at` is the second in which Stripe reports that it failed to make an event.
    """

    events: tuple[Json, ...]
    answers: Mapping[str, str]
    failed_at: int | None = None


class Questions:
    """The questions about one object; before each one `pace` is called, which may wait."""

    def __init__(self, gateway: StripeGateway, pace: Callable[[], object]) -> None:
        self._gateway = gateway
        self._pace = pace

    def ask(self, asking: Asking) -> Told:
        """Ask about an object; raises `StripeMissing` where neither it nor an event is there."""
        waiting = asking.notices
        if waiting[0].type == notices.GENERATION_FAILED:
            return self._failure(waiting[0])
        if waiting[0].type.startswith(_OF_THE_TIME):
            return self._of_the_time(waiting)
        try:
            return self._object(waiting)
        except StripeMissing:
            # The object is gone; what was said of it may still be there.
            return self._twin(_newest_second(waiting))

    def _object(self, waiting: Sequence[Noticed]) -> Told:
        """The object as it is now, as the answer to all notices of it."""
        newest = {noticed.type: noticed for noticed in waiting}
        self._pace()
        answer = self._gateway.noticed_object(waiting[-1].path)
        whole = with_whole_list(answer, self._gateway)
        events = {
            kind: _event(noticed, whole, answer, self._gateway.api_version)
            for kind, noticed in newest.items()
        }
        names = {noticed.event_id: str(events[noticed.type]["id"]) for noticed in waiting}
        return Told(tuple(events.values()), names)

    def _of_the_time(self, waiting: Sequence[Noticed]) -> Told:
        try:
            return self._twin(_newest_second(waiting))
        except StripeMissing:
            return self._object(waiting)

    def _twin(self, second: Sequence[Noticed]) -> Told:
        """The snapshot event of the last notice of a second, as the answer to all of them."""
        for noticed in reversed(second):
            twin_id = noticed.twin_id or self._twin_id(noticed)
            if twin_id:
                self._pace()
                event = self._gateway.event(twin_id)
                return Told((event,), dict.fromkeys((one.event_id for one in second), twin_id))
        raise StripeMissing.unnamed()

    def _twin_id(self, noticed: Noticed) -> str | None:
        self._pace()
        try:
            return text_of(self._gateway.thin_event(noticed.event_id).get("snapshot_event"))
        except StripeMissing:
            return None

    def _failure(self, noticed: Noticed) -> Told:
        """The object that an event should have told of, which Stripe failed to make."""
        self._pace()
        failure = self._gateway.thin_event(noticed.event_id)
        impact = mapping_of(mapping_of(failure.get("data")).get("impact"))
        kind = (text_of(impact.get("event_type")) or "").removeprefix(notices.PREFIX)
        failed_at = noticed.created_ms // 1_000
        related = notices.read({**failure, "related_object": impact.get("related_object")}, None)
        if kind not in DECODERS or impact.get("context") or related.path is None:
            says = f"Stripe's list of events: {kind or 'an event'} was not made"
            return Told((), {noticed.event_id: says}, failed_at)
        lost = Noticed(noticed.event_id, kind, noticed.created_ms, related.path, None)
        told = self._object([lost])
        return Told(told.events, told.answers, failed_at)


def _event(noticed: Noticed, whole: Json, answer: Answer, api_version: str) -> Json:
    return event_of_notice(
        noticed.type,
        whole,
        noticed=noticed.created_ms // 1_000,
        answered=answer.answered_created,
        name=f"{noticed.type}_{noticed.created_ms}",
        api_version=api_version,
    )


def _newest_second(waiting: Sequence[Noticed]) -> Sequence[Noticed]:
    newest = waiting[-1].created_ms // 1_000
    return [noticed for noticed in waiting if noticed.created_ms // 1_000 == newest]
