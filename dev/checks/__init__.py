"""Style, types, import rules, tests: what is checked before anything is released.

Nothing is imported here: `seclusion` has to be there before anything that reads a setting.
"""

__all__ = ["checks", "dictionary", "seclusion"]
