"""When a worker's garbage collector runs: between batches, when next to nothing is left to look at.

What a batch makes goes when the batch ends, without a collector. While it is there, the collector
would go through all of it again and again, for a twentieth of the worker's time.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Let no garbage collector run inside; one that was off stays off."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
