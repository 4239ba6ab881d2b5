"""How many examples a property is tried with: the same ones in every run, or many new ones.

A run of `manage.py test` fails for what was changed, not for what it happened to try; new examples
are looked for by `manage.py test --explore`, which tries this many times as many, at random.
"""

import os
from typing import Any

from hypothesis import settings

FACTOR = int(os.environ.get("TEST_EXAMPLES_FACTOR", "1"))


def examples(count: int = 100, **more: Any) -> settings:
    """Try a property with so many examples, however long each takes."""
    return settings(max_examples=count * FACTOR, derandomize=FACTOR == 1, deadline=None, **more)
