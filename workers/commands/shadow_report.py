"""Tells a person how an upgrade of the endpoint stands: every fact that differs, once."""

import sys
from collections import Counter

import click
from rich.console import Console

from domain.decode import DECODERS
from workers.endpoints.comparing import Standing

# Facts of one kind that are excused are told by an example.
_EXAMPLES = 1


class ShadowReport:
    """Prints what is new, and on a terminal one line that moves."""

    def __init__(self, seconds: int) -> None:
        """`seconds` is for how long nothing may differ."""
        self._seconds = seconds
        self._told: set[tuple[str, str, str | None, str | None]] = set()
        self._halves: set[str] = set()
        self._excused: Counter[str] = Counter()
        self._status = Console(stderr=True) if sys.stderr.isatty() else None
        self._pairs = -1

    def show(self, standing: Standing) -> None:
        """Print what was not printed before."""
        open_now = set()
        for row in standing.differing:
            key = (row.object_id, row.path, row.before, row.after)
            if row.excuse:
                self._excuse(row.object_id, row.path, row.excuse, is_new=key not in self._told)
            else:
                open_now.add(key)
                if key not in self._told:
                    click.echo(
                        f"differs  {row.object_id}  {row.path}: {_shown(row.before)} before,"
                        f" {_shown(row.after)} after"
                    )
            self._told.add(key)
        for half in standing.halves:
            if half.event_id not in self._halves:
                self._halves.add(half.event_id)
                which = "new" if half.in_shadow else "old"
                click.echo(
                    f"waits    {half.event_id}  {half.event_type}: only the {which} endpoint"
                    " has delivered it"
                )
        self._move(standing, len(open_now))

    def _excuse(self, object_id: str, path: str, excuse: str, *, is_new: bool) -> None:
        if not is_new:
            return
        self._excused[excuse] += 1
        if self._excused[excuse] <= _EXAMPLES:
            click.echo(f"expected {object_id}  {path}: {excuse}")

    def _move(self, standing: Standing, differing: int) -> None:
        seen = standing.seen
        quiet = f"nothing differed for {standing.quiet_seconds:,.0f} of {self._seconds:,} s"
        says = (
            f"{seen.pairs:,} events compared, of {len(seen.types)} of {len(DECODERS)} types;"
            f" {f'{differing} facts differ' if differing else quiet}"
        )
        if self._status:
            self._status.print(says, end="\r", highlight=False)
        elif seen.pairs != self._pairs:
            click.echo(says)
        self._pairs = seen.pairs


def _shown(value: str | None) -> str:
    return "nothing" if value is None else value
