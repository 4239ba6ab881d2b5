"""Derives everything anew from the stored events and makes the tables say it.

What events say today is found as an audit finds it, in a snapshot that holds nobody up. Then each
part that differs is mended in a short transaction of its own, under the locks that the pipeline
takes: facts are put in place of the live ones, and payments and ledger follow by the pipeline's
own code. What was written since the snapshot is put off to another round, which begins from a
fresh one; the last round finds nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Engine, exc

from db.ledger import locks
from db.ledger.catalogue import CatalogueCache
from db.operations import audit as tables
from db.operations import rebuild as live
from db.operations import rebuild_plan as plan
from db.operations.differences import Difference, differences
from db.operations.rebuild_plan import Unit
from db.queue.inbox import Outcome
from domain.errors import BillingError
from retry import scheduled_pause, with_retries
from workers.operations.rebuild_batch import Batch, batches
from workers.operations.recompute import Prepare, Progress, Recomputation
from workers.pipeline.apply import prepare
from workers.pipeline.batch import TRANSIENT_WAITS_SECONDS
from workers.pipeline.failure import is_away, is_timeout, is_worth_waiting

# So many rows are mended in one transaction; a payment with more objects is mended whole.
BATCH_ROWS = 100
ROUNDS_MAX = 5
_EVENTS_A_STATEMENT = 500
_EVENTS_TOLD_MAX = 5


class UnreadableEventsError(BillingError):
    """Applied events can no longer be applied, so their effects must not be taken back."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a rebuild would change.

    `changes` are what people see of it; `rows` counts all rows that would be written, also those
    that differ only underneath. `ignored` maps applied events that today's code ignores to the
    reason, `heard` ignored ones that it applies to what they are about; `lasting` counts entries
    whose running balance is wrong, which nothing can mend.
    """

    changes: Sequence[Difference]
    rows: int
    ignored: Mapping[str, str]
    heard: Mapping[str, Outcome]
    lasting: int


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild came to. `remaining` counts what still differs after the last round."""

    proposal: Proposal
    is_done: bool = False
    entries: int = 0
    ignored: int = 0
    heard: int = 0
    rounds: int = 0
    remaining: int = 0


@dataclass(frozen=True, slots=True)
class Steps:
    """Who is told of what: events recomputed, rows mended; and who agrees to the changes."""

    recomputing: Progress
    mending: Progress
    agree: Callable[[Proposal], bool]


@dataclass(slots=True)
class _Found:
    """One round's differences."""

    units: Sequence[Unit]
    balances: Sequence[str]
    proposal: Proposal

    @property
    def remaining(self) -> int:
        """How much is to be mended."""
        events = len(self.proposal.ignored) + len(self.proposal.heard)
        return len(self.units) + len(self.balances) + events

    @property
    def is_nothing(self) -> bool:
        """Whether the tables are what the events make them."""
        return self.remaining == 0


def rebuild(
    engine: Engine,
    steps: Steps,
    *,
    user_id: str | None = None,
    read: Prepare = prepare,
    test_mode: bool = True,
) -> Rebuilt:
    """Make the tables what the events say, of one user or of all; safe to be broken off.

    Nothing is changed unless `steps.agree` says yes to what was found first. Raises
    `UnreadableEventsError`, and what the database raises when it goes away; what was committed
    stays then, and another run goes on from there. `read` is how today's code reads an event,
    `test_mode` which mode is served. The engine needs two connections.
    """
    run = _Run(engine, steps, user_id, read, test_mode=test_mode)
    with _snapshot(engine) as connection:
        planned = run.find(connection)
        rebuilt = Rebuilt(planned.proposal, is_done=planned.is_nothing, remaining=planned.remaining)
        if planned.is_nothing or not steps.agree(planned.proposal):
            return rebuilt
        run.mend(connection, planned, rebuilt)
    while not rebuilt.is_done and rebuilt.rounds < ROUNDS_MAX:
        with _snapshot(engine) as connection:
            planned = run.find(connection)
            rebuilt.is_done, rebuilt.remaining = planned.is_nothing, planned.remaining
            if not planned.is_nothing:
                run.mend(connection, planned, rebuilt)
    return rebuilt


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees everything as it was when it began, with tables of its own."""
    with engine.connect() as plain:
        connection = plain.execution_options(isolation_level="REPEATABLE READ")
        try:
            tables.open_shadow(connection)
            yield connection
        finally:
            connection.rollback()


class _Run:
    """One rebuild under way."""

    def __init__(
        self,
        engine: Engine,
        steps: Steps,
        user_id: str | None,
        read: Prepare,
        *,
        test_mode: bool,
    ) -> None:
        self._engine = engine
        self._steps = steps
        self._user_id = user_id
        self._read = read
        self._test_mode = test_mode
        self._catalogue = CatalogueCache()

    def find(self, connection: Connection) -> _Found:
        """Recompute everything and compare; nothing live is touched."""
        unreadable: list[tuple[str, str]] = []
        ignored: dict[str, str] = {}
        heard: dict[str, Outcome] = {}
        recomputation = Recomputation(
            lambda event_id, error: unreadable.append((event_id, error)),
            ignored.__setitem__,
            self._read,
            heard=heard.__setitem__,
            test_mode=self._test_mode,
        )
        total = tables.counts(connection).applied
        recomputation.run(connection, total, self._steps.recomputing)
        if unreadable:
            raise _unreadable(unreadable)
        units, balances = plan.units(connection), plan.wrong_balances(connection)
        if self._user_id is None:
            return _Found(units, balances, _proposal(connection, units, ignored, heard, None))
        names = plan.names_of_user(connection, self._user_id)
        ours = [unit for unit in units if unit.payer in names or not names.isdisjoint(unit.names)]
        events = plan.events_of_user(connection, names, self._user_id)
        reasons = {key: why for key, why in ignored.items() if key in events}
        outcomes = {key: outcome for key, outcome in heard.items() if key in events}
        proposal = _proposal(connection, ours, reasons, outcomes, self._user_id)
        return _Found(ours, [user_id for user_id in balances if user_id == self._user_id], proposal)

    def mend(self, connection: Connection, planned: _Found, rebuilt: Rebuilt) -> None:
        """Write what one round found; `connection` still sees the snapshot."""
        rebuilt.rounds += 1
        total = sum(len(unit.places) for unit in planned.units)
        done = 0
        self._steps.mending(done, total)
        for units in batches(planned.units, BATCH_ROWS):
            rebuilt.entries += self._mend_apart(connection, units)
            done += sum(len(unit.places) for unit in units)
            self._steps.mending(done, total)
        for user_id in planned.balances:
            with self._engine.begin() as writer:
                live.mend_balance(writer, user_id)
        reasons = sorted(planned.proposal.ignored.items())
        for start in range(0, len(reasons), _EVENTS_A_STATEMENT):
            with self._engine.begin() as writer:
                part = dict(reasons[start : start + _EVENTS_A_STATEMENT])
                rebuilt.ignored += live.ignore(writer, part)
        heard = sorted(planned.proposal.heard)
        for start in range(0, len(heard), _EVENTS_A_STATEMENT):
            with self._engine.begin() as writer:
                ids = heard[start : start + _EVENTS_A_STATEMENT]
                outcomes = {event_id: planned.proposal.heard[event_id] for event_id in ids}
                rebuilt.heard += live.hear(writer, outcomes)

    def _mend_apart(self, connection: Connection, units: Sequence[Unit]) -> int:
        """Mend a batch; one whose locks are not had in time in parts, one unit in another round."""
        try:
            return self._with_retries(connection, units)
        except exc.SQLAlchemyError as error:
            if not is_timeout(error):
                raise
        if len(units) == 1:
            return 0
        return sum(self._mend_apart(connection, [unit]) for unit in units)

    def _with_retries(self, connection: Connection, units: Sequence[Unit]) -> int:
        batch = Batch.of(connection, units)
        return with_retries(partial(self._locked, batch), _pause_seconds)

    def _locked(self, batch: Batch) -> int:
        def run(subjects: frozenset[str]) -> int:
            with self._engine.begin() as writer:
                return batch.write(writer, subjects, self._catalogue)

        return locks.with_locks(run, batch.subjects)


def _pause_seconds(error: Exception, failures: int) -> float | None:
    if is_away(error) or not is_worth_waiting(error):
        return None
    return scheduled_pause(failures, TRANSIENT_WAITS_SECONDS)


def _proposal(
    connection: Connection,
    units: Sequence[Unit],
    ignored: Mapping[str, str],
    heard: Mapping[str, Outcome],
    user_id: str | None,
) -> Proposal:
    """What people see of these units; with a user, of theirs and of whom else they concern."""
    names = {name for unit in units for name in unit.names}
    users = {user_id}
    changes: list[Difference] = []
    lasting = 0
    for difference in differences(connection):
        if "balance_after" in difference.columns:
            lasting += user_id is None
            continue
        is_account = difference.table == "token_accounts"
        is_ours = difference.user_id in users if is_account else difference.id in names
        if user_id is None or is_ours:
            changes.append(difference)
            users.add(difference.user_id)
    rows = sum(len(unit.places) for unit in units)
    return Proposal(changes, rows, ignored, heard, lasting)


def _unreadable(errors: Sequence[tuple[str, str]]) -> UnreadableEventsError:
    examples = "; ".join(
        f"{event_id}: {error.splitlines()[0]}" for event_id, error in errors[:_EVENTS_TOLD_MAX]
    )
    more = f" and {len(errors) - _EVENTS_TOLD_MAX:,} more" * (len(errors) > _EVENTS_TOLD_MAX)
    return UnreadableEventsError(
        f"{len(errors):,} applied events can no longer be applied ({examples}{more}). A rebuild"
        " would take back what they did. Nothing was changed: mend the code first."
    )
