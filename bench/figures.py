"""What was measured: figures with every round they were taken in, and remarks beside them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity; `values` are its rounds, `key` is what a target names it by."""

    key: str
    title: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure that counts."""
        return median(self.values)


@dataclass(slots=True)
class Findings:
    """The figures of one part in the order they are to be read, and what must be said of them."""

    part: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, key: str, title: str, unit: str, values: Iterable[float]) -> None:
        """Add a figure; one without a single round is left out."""
        rounds = tuple(values)
        if rounds:
            self.figures.append(Figure(f"{self.part}.{key}", title, unit, rounds))

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)


def ratios(ours: Iterable[float], theirs: Iterable[float]) -> list[float]:
    """Ours over theirs, round by round: both saw the same machine then."""
    return [one / other for one, other in zip(ours, theirs, strict=False) if other > 0]


def percentile(values: Iterable[float], share: float) -> float:
    """The value that this share (0 to 1) of the values does not exceed; 0 where there is none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
