"""Receiver alone: accepted at saturation on both cores, and how long a sender waits at a pace."""

from collections import defaultdict

from bench import corpus
from bench.accept import PACED_RATE, Receiver, Shot, on_all_cores
from bench.against.sides import Pair, compare
from bench.figures import Findings, percentile
from bench.scale import Scale
from bench.stand import Stand
from bench.turns import in_turn

MILLISECONDS = 1000.0


def measure_accept(found: Findings, stand: Stand, scale: Scale, pair: Pair) -> None:
    """One receiver of each side in turn; nobody takes what it has accepted."""
    chosen = corpus.events(scale.shot_events, "accept")
    saturated: dict[str, list[Shot]] = defaultdict(list)
    paced: dict[str, list[Shot]] = defaultdict(list)
    for number in range(scale.whole_rounds):
        for side in in_turn(tuple(pair), number):
            stand.progress.step(f"accept, round {number + 1} of {scale.whole_rounds}: {side.name}")
            receiver = Receiver("stream", (side.receiver,), (side.port,), side.place)
            shot = on_all_cores(stand, receiver, chosen, scale.shot_seconds)
            saturated[side.name].append(shot)
            # Whoever accepts more leaves Redis a larger file, which it begins to rewrite sooner:
            # amid the paced shot that doubles its p99.
            side.place.empty()
            side.place.compact()
            shot = on_all_cores(stand, receiver, chosen, scale.paced_seconds, PACED_RATE)
            paced[side.name].append(shot)
    _tell(found, saturated, paced)


def _tell(found: Findings, saturated: dict[str, list[Shot]], paced: dict[str, list[Shot]]) -> None:
    rates = {name: [shot.volley.rate for shot in shots] for name, shots in saturated.items()}
    compare(found, "accept.rate", "receiver alone: accepted", "events/s", rates)
    spent = {
        name: [shot.cpu_us["receiver"] + shot.cpu_us["Valkey"] for shot in shots]
        for name, shots in saturated.items()
    }
    compare(found, "accept.cpu", "receiver alone: CPU of it and Valkey", "µs/event", spent)
    for key, what, by_side in (
        ("accept.p99", "receiver alone, saturated: p99", saturated),
        (f"accept.at_{PACED_RATE:.0f}.p99", f"receiver alone, {PACED_RATE:.0f}/s: p99", paced),
    ):
        waits = {
            name: [percentile(shot.volley.latencies, 0.99) * MILLISECONDS for shot in shots]
            for name, shots in by_side.items()
        }
        compare(found, key, what, "ms", waits)
