"""How many standbys confirm a commit before it is one: asked of the primary itself."""

import re
import time
from dataclasses import dataclass

from sqlalchemy import Connection, text

# Between two looks a setting may change; a commit that nobody confirms waits and is cut off.
LOOK_EVERY_SECONDS = 1.0

_NUMBER = re.compile(r"^\s*(?:ANY|FIRST)?\s*(\d+)\s*\(", re.IGNORECASE)
# With these a commit waits until the standby has it on its disk.
_LEVELS = frozenset({"on", "remote_apply"})


@dataclass(frozen=True, slots=True)
class Copies:
    """What a primary does about copies.

    `promised` by its settings: so many standbys must confirm. `live` are connected and may confirm;
    None where this role may not see that.
    """

    promised: int
    live: int | None

    def lack(self, wanted: int) -> str | None:
        """What is missing where `wanted` copies must confirm, in words; None when nothing is."""
        if self.promised < wanted:
            return f"{self.promised} standby(s) must confirm a commit, {wanted} wanted"
        if self.live is not None and self.live < wanted:
            return f"{self.live} synchronous standby(s) connected, {wanted} wanted"
        return None


class CopiesMissingError(Exception):
    """Fewer standbys would confirm a commit than are wanted; nothing was written."""


def promised(names: str, level: str) -> int:
    """How many standbys confirm a commit, by `synchronous_standby_names` and this level."""
    if not names.strip() or level not in _LEVELS:
        return 0
    number = _NUMBER.match(names)
    return int(number[1]) if number else 1


def ask(connection: Connection) -> Copies:
    """What holds for a commit of this session now."""
    row = connection.execute(_ASK).one()
    return Copies(promised(row.names, row.level), row.live if row.sees else None)


def require(connection: Connection, wanted: int) -> None:
    """Raise `CopiesMissingError` unless `wanted` standbys would confirm; asks once a second."""
    if not wanted:
        return
    info, now = connection.info, time.monotonic()
    if now - info.get(_KEY, float("-inf")) < LOOK_EVERY_SECONDS:
        return
    if lack := ask(connection).lack(wanted):
        raise CopiesMissingError(lack)
    info[_KEY] = now


_KEY = "copies_asked_at"
_ASK = text(
    """
    SELECT current_setting('synchronous_standby_names') AS names,
           current_setting('synchronous_commit') AS level,
           (SELECT count(*) FROM pg_stat_replication
            WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')) AS live,
           pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees
    """
)
