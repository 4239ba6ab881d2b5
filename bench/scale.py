"""How much is measured: by default enough to be believed, with `--quick` enough to see it run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

# No measurement of a rate lasts longer; what is slower is judged by how far it came.
SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Rounds of everything that is compared, and how long or how much each round is.

    `events` is a backlog for the product, `rival_events` one for a form that takes an event at a
    time; both take some seconds. `backlogs` are drained whole, the largest also by the other
    checkout; `table_rows` are how many stored events there are, side by side, when the cost of
    further ones is measured.
    """

    rounds: int
    whole_rounds: int
    shot_seconds: float
    paced_seconds: float
    shot_events: int
    events: int
    rival_events: int
    warm_events: int
    backlogs: tuple[int, ...]
    table_rows: tuple[int, ...]
    growth_events: int


NORMAL = Scale(
    rounds=3,
    whole_rounds=5,
    shot_seconds=3.0,
    paced_seconds=6.0,
    shot_events=40_000,
    events=15_000,
    rival_events=1_500,
    warm_events=1_500,
    backlogs=(100_000,),
    table_rows=(0, 100_000, 200_000),
    growth_events=5_000,
)
QUICK = Scale(
    rounds=1,
    whole_rounds=1,
    shot_seconds=0.5,
    paced_seconds=1.0,
    shot_events=4_000,
    events=1_000,
    rival_events=100,
    warm_events=300,
    backlogs=(2_000,),
    table_rows=(0, 2_000, 5_000),
    growth_events=500,
)
MILLION_BACKLOG = 1_000_000
MILLIONS_OF_ROWS = (0, 1_000_000, 5_000_000, 10_000_000)


def scaled(
    scale: Scale,
    *,
    million: bool = False,
    rounds: int | None = None,
    size: int | None = None,
    rows: Sequence[int] = (),
) -> Scale:
    """A scale with what was asked for in its place."""
    if million:
        backlogs = (*scale.backlogs, MILLION_BACKLOG)
        scale = replace(scale, backlogs=backlogs, table_rows=MILLIONS_OF_ROWS)
    if rounds:
        scale = replace(scale, rounds=rounds, whole_rounds=rounds)
    if size:
        scale = replace(scale, backlogs=(size,))
    if rows:
        scale = replace(scale, table_rows=tuple(rows))
    return scale
