"""Everything on this machine in one command: engines under a supervisor, and what is shown."""

from dev.up.up import up

__all__ = ["engine", "engines", "processes", "up"]
