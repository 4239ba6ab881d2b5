"""What people read of a run: every figure, its target, and whether it is reached."""

import json

import click

from bench import report
from bench.figures import Findings, percentile, ratios
from bench.targets import TARGETS, at_least, at_most, verdict


def findings() -> Findings:
    """A part with one figure that misses its target, one that reaches it, one without any."""
    found = Findings("apply")
    found.add("stream.rate", "stream, one worker", "events/s", (2_000.0, 2_900.0, 9_000.0))
    found.add("stream.cpu", "CPU", "µs/event", (160.0,))
    found.add("two.rate", "stream, two workers", "events/s", (5_000.0,))
    found.add("nothing", "never measured", "events/s", ())
    found.note("remark")
    found.note("remark")
    return found


def test_the_table_puts_each_target_beside_its_figure() -> None:
    """The median counts, and how far the rounds spread is shown with it."""
    # Colours are for terminals: click takes them off elsewhere, as this does.
    lines = click.unstyle(report.table([findings()])).splitlines()
    missed = next(line for line in lines if line.startswith("stream, one worker"))
    assert missed.split() == [
        *("stream,", "one", "worker", "2,900", "events/s", "2,000\N{EN DASH}9,000"),
        *("≥", "3,000", "≥", "6,000", "MISSED"),
    ]
    assert next(line for line in lines if line.startswith("CPU")).endswith("aim reached")
    assert not any("never measured" in line for line in lines)
    assert lines.count("remark") == 1
    assert any(
        line == f"targets: 1 aim reached, 1 MISSED, {len(TARGETS) - 2} not measured here"
        for line in lines
    )


def test_the_json_has_rounds_verdicts_and_the_machine() -> None:
    """So that runs can be compared later."""
    shown = json.loads(report.document([findings()], is_quick=True))
    assert shown["quick"] is True
    assert shown["machine"]["cores"] >= 1
    first = shown["figures"][0]
    assert first["key"] == "apply.stream.rate"
    assert first["rounds"] == [2_000.0, 2_900.0, 9_000.0]
    assert first["verdict"] == "MISSED"
    assert "verdict" not in shown["figures"][2]


def test_a_verdict_tells_aim_from_must_on_both_sides() -> None:
    """Floors are to be exceeded, ceilings kept under; a bound itself is reached."""
    assert [verdict(at_least(10, 20), value) for value in (9.9, 10, 20)] == [
        *("MISSED", "must reached", "aim reached")
    ]
    assert [verdict(at_most(20, 10), value) for value in (20.1, 20, 10)] == [
        *("MISSED", "must reached", "aim reached")
    ]


def test_an_aim_is_never_easier_than_its_must() -> None:
    """A target that is typed the wrong way round would always be reached."""
    for key, target in TARGETS.items():
        assert (target.aim >= target.must) if target.is_floor else (target.aim <= target.must), key


def test_percentiles_and_ratios_take_what_was_measured() -> None:
    """No value between two measured ones is made up."""
    values = [float(number) for number in range(1, 101)]
    assert percentile(reversed(values), 0.5) == 51
    assert percentile(values, 0.99) == 100
    assert percentile([], 0.99) == 0
    assert ratios([10.0, 30.0], [5.0, 10.0]) == [2.0, 3.0]
