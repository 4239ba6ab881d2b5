"""Everything on this machine in one command: engines under a supervisor, and what is shown.

Nothing is imported here: who wants an engine must not load the product, which reads its settings.
"""

__all__ = [
    "engine",
    "engines",
    "errors",
    "ports",
    "postgres",
    "processes",
    "suppliers",
    "up",
    "valkey",
]
