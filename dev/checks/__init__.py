"""Style, types, import rules, tests: what is checked before anything is released."""

from dev.checks.checks import test

__all__ = ["seclusion", "test"]
