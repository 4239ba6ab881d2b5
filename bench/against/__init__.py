"""`against`: this checkout and another one in turn, in one run, from outside.

Only commands that both have are started (`web`, `worker`, `beat`, `migrate`, `load_plans`), each
with its own code and its own environment; what they did is told from the kernel, the stream and
the tables. The host's speed changes from hour to hour, so what counts is the ratio of two figures
that were taken right after each other. The part `whole` has the other checkout among its
contestants too.
"""

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
    measure_accept(found, stand, scale, pair)
    measure_apply(found, stand, scale, pair)
    measure_memory(found, stand, scale, pair)
    measure_backlog(found, stand, scale, pair)
    left_out = ", ".join(sorted(pair.ignored))
    if left_out:
        found.note(f"against: left out, as one of the two has no use for it: {left_out}")
    found.note(f"against: the other checkout is {pair.then.place.root}")
    return found
