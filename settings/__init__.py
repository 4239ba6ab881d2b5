"""The product's settings, read once and checked as a whole; the only reader of the environment.

Every problem is reported at once, by the variable's name and with the fix. A value is never part
of a message, because it may be a secret. Nothing here connects to anything.
"""

from settings.loading import Settings, SettingsError, load, variable
from settings.loopback import ask_loopback_directly
from settings.reader import DATABASE_DRIVER, JWT_SECRET_BYTES_MIN, seconds_of
from settings.sentinel import Sentinels, is_sentinel
from settings.sentinel import parse as parse_sentinels

__all__ = [
    "DATABASE_DRIVER",
    "JWT_SECRET_BYTES_MIN",
    "Sentinels",
    "Settings",
    "SettingsError",
    "ask_loopback_directly",
    "is_sentinel",
    "load",
    "parse_sentinels",
    "seconds_of",
    "variable",
]
