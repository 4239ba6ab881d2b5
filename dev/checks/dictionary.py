"""Trains the dictionary that bodies are compressed with, on what `sandbox.simulate` sends.

Run by hand (`python -m dev.checks.dictionary`), and only where it brings something: every
dictionary that was ever released stays in the product for good.
"""

from collections.abc import Sequence

import click
import orjson
import zstandard

from db import bodies
from sandbox.simulate.account import Account
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.versions import BY_CHOICE

BYTES = 32 * 1024
CUSTOMERS = 300
# 1 March 2026: a fixed day, so that the same code trains the same dictionary.
TODAY = 1_772_323_200


def simulated(seed: int) -> list[bytes]:
    """What is kept of some thousand events: bodies as signed, and objects as subscriptions do."""
    account = Account(seed=seed, run=f"dictionary{seed}", starts_at=TODAY)
    play(account, read_file(SAMPLE_PLANS), BY_CHOICE["mixed"], customers=CUSTOMERS, today=TODAY)
    bodies = [event.body for event in account.events]
    versions = (
        orjson.dumps(event.payload["data"]["object"])
        for event in account.events
        if event.type.startswith("customer.subscription.")
    )
    return [*bodies, *versions]


def mean_bytes(chosen: Sequence[bytes], compressor: zstandard.ZstdCompressor) -> float:
    """How large the chosen are on average once they are compressed."""
    return sum(len(compressor.compress(body)) for body in chosen) / len(chosen)


@click.command()
@click.option("--write", is_flag=True, help="Keep it, as the one that is written with.")
def main(*, write: bool) -> None:
    """Train a dictionary, and say what it brings on others than it was trained on."""
    others = simulated(seed=2)
    kept = sorted(bodies.DIRECTORY.glob("*.zdict"))
    number = int(kept[-1].stem) + 1
    trained = zstandard.train_dictionary(
        BYTES, [*simulated(seed=1)], level=bodies.LEVEL, dict_id=number
    )
    click.echo(f"{len(others):,} other bodies and objects, mean bytes")
    without = zstandard.ZstdCompressor(level=bodies.LEVEL)
    for name, figure in (
        ("as signed", sum(map(len, others)) / len(others)),
        ("without dictionary", mean_bytes(others, without)),
        *((path.stem, mean_bytes(others, _with(path.read_bytes()))) for path in kept),
        ("trained now", mean_bytes(others, _with(trained.as_bytes()))),
    ):
        click.echo(f"  {name:<20} {figure:8.0f}")
    if write:
        path = bodies.DIRECTORY / f"{number}.zdict"
        path.write_bytes(trained.as_bytes())
        click.echo(f"{path.name}: commit it; it stays for as long as anything it compressed")


def _with(dictionary: bytes) -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(
        level=bodies.LEVEL, dict_data=zstandard.ZstdCompressionDict(dictionary)
    )


if __name__ == "__main__":
    main()
