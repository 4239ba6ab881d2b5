"""The live line of a terminal: how events fare, and where the product answers.

It is one row, whatever the width: what matters less is left out where there is no room.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from rich.console import Console as Terminal
from rich.console import ConsoleOptions, RenderResult
from rich.text import Text

from dev.up.counts import Counts
from dev.up.environment import Addresses

GAP = "  "


@dataclass(frozen=True, slots=True)
class Status:
    """The line; with no counts the receiver did not answer when asked last."""

    addresses: Addresses
    counts: Counts | None

    def __rich_console__(self, terminal: Terminal, options: ConsoleOptions) -> RenderResult:
        """The widest form that leaves the last column free."""
        del terminal
        room = options.max_width - 1
        forms = self._forms()
        fitting = [form for form in forms if form.cell_len <= room]
        line = fitting[0] if fitting else forms[-1]
        line.truncate(room, overflow="ellipsis")
        yield line

    def _forms(self) -> list[Text]:
        """The line from long to short."""
        urls = [self.addresses.base_url, self.addresses.offline_stripe_url]
        address = urlsplit(self.addresses.base_url).netloc
        both = "  Stripe ".join(url for url in urls if url)
        if self.counts is None:
            silent = Text("the receiver does not answer", "bold red")
            return [Text.assemble(silent, GAP, (where, "dim")) for where in (both, address)] + [
                silent
            ]
        whole, short = _numbers(self.counts, all_of_them=True), _numbers(self.counts)
        places = [both, urls[0], address, f":{self.addresses.port}"]
        placed = [Text.assemble(whole, GAP, (where, "dim")) for where in places]
        return [*placed, whole, Text.assemble(short, GAP, (places[-1], "dim")), short]


def _numbers(counts: Counts, *, all_of_them: bool = False) -> Text:
    """The numbers with their names; those of trouble stand out."""
    failed = counts.failed + counts.dead
    parts = [
        ("accepted", counts.accepted, "bold"),
        ("applied", counts.applied, "bold green"),
        ("waiting", counts.waiting, "bold yellow" if counts.waiting else "bold"),
        ("failed", failed, "bold red" if failed else "bold"),
    ]
    if all_of_them:
        rest = (("ignored", counts.ignored, "bold"), ("duplicate", counts.duplicates, "bold"))
        parts[2:2] = [part for part in rest if part[1]]
    named = (Text.assemble(name, " ", (f"{number:,}", style)) for name, number, style in parts)
    return Text(GAP).join(named)
