"""`against`: this checkout and another one in turn, in one run, from outside.

Only commands that both have are started (`web`, `worker`, `beat`, `migrate`, `load_plans`), each
with its own code and its own environment; what they did is told from the kernel, the stream and
the tables. The host's speed changes from hour to hour, so what counts is the ratio of two figures
that were taken right after each other. The part `whole` has the other checkout among its
contestants too.
"""

from bench import report
from bench.against.applying import measure_apply
from bench.against.backlog import measure_backlog
from bench.against.memory import measure_memory
from bench.against.receiving import measure_accept
from bench.against.sides import sides
from bench.figures import Findings
from bench.scale import Scale
from bench.stand import Stand

__all__ = ["measure"]


def measure(stand: Stand, scale: Scale) -> Findings:
    """Receiver alone, worker alone, a long backlog, memory."""
    found = Findings("against")
    pair = sides(stand, scale)
    # It takes long: each is told as soon as it is known.
    for measure_one in (measure_accept, measure_apply, measure_memory, measure_backlog):
        known = len(found.figures)
        measure_one(found, stand, scale, pair)
        stand.progress.tell(map(report.short_line, found.figures[known:]))
    left_out = ", ".join(sorted(pair.ignored))
    if left_out:
        found.note(f"against: left out, as one of the two has no use for it: {left_out}")
    found.note(f"against: the other checkout is {pair.then.place.root}")
    return found
