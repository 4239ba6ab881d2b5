"""Breaks the running product on purpose and counts what came of it.

Real processes on embedded engines, killed and stopped from outside; the product has no part in
it, no failpoint and no switch. Never imported by anything that runs in production.
"""

__all__ = ["load", "product", "releases", "report", "run", "verdict"]
