"""Holds the path contract to releases of Stripe's SDK: what is gone, and what is new beside it.

`python -m dev.checks.stripe_paths` says it of every release of `stripe_releases.toml`, fetched with
pip; with `--write` what is new becomes known.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from dev.checks import seclusion
from dev.checks.stripe_sdk import PathGone, Sdk
from domain.decode.paths import READINGS, Reading
from domain.decode.version_check import version_date

_HERE = Path(__file__).parent
RELEASES: Mapping[str, str] = tomllib.loads((_HERE / "stripe_releases.toml").read_text())
KNOWN = _HERE / "stripe_known.json"
WHEELS = _HERE.parents[1] / "build" / "stripe-sdk"
_FETCH_SECONDS_MAX = 60


class NotFetched(Exception):  # noqa: N818 - a machine without an index is no error.
    """No index of packages has the release, or none answers; the message is pip's last line."""


def fetched(release: str, wheels: Path = WHEELS) -> Sdk:
    """A release of the SDK, from pip's index the first time; raises `NotFetched`."""
    kept = next(wheels.glob(f"stripe-{release}-*.whl"), None)
    return Sdk(kept or _fetch(release, wheels))


def _fetch(release: str, wheels: Path) -> Path:
    wheels.mkdir(parents=True, exist_ok=True)
    words = ("download", "--no-deps", "--disable-pip-version-check", "--retries", "0", "-q")
    with tempfile.TemporaryDirectory(dir=wheels) as directory:
        try:
            done = subprocess.run(  # noqa: S603 - pip, with names of our own.
                [sys.executable, "-m", "pip", *words, "-d", directory, f"stripe=={release}"],
                capture_output=True,
                text=True,
                check=False,
                timeout=_FETCH_SECONDS_MAX,
                env=seclusion.outward(os.environ),
            )
        except subprocess.TimeoutExpired as late:
            raise NotFetched("no answer in time") from late
        if done.returncode:
            raise NotFetched((done.stderr.strip().splitlines() or ["pip failed"])[-1])
        # Moved when it is whole: other processes may look for it.
        (wheel,) = Path(directory).glob("*.whl")
        return wheel.replace(wheels / wheel.name)


def gone(sdk: Sdk, readings: Sequence[Reading] = READINGS) -> list[str]:
    """The paths that the contract has in this version and the release has not, in words."""
    return [problem for reading in readings for problem in _gone(sdk, reading)]


def _gone(sdk: Sdk, reading: Reading) -> Iterator[str]:
    date = version_date(sdk.api_version) or ""
    for place in reading.places:
        if not place.is_in(date):
            continue
        try:
            sdk.field(reading.kind, place.path)
        except PathGone as why:
            yield f"this path is gone in {sdk.api_version}: {reading.kind}.{place.path} ({why})"


def surroundings(sdk: Sdk) -> dict[str, list[str]]:
    """What is beside the paths: the fields of each object, the values of each enum."""
    date = version_date(sdk.api_version) or ""
    found: dict[str, set[str]] = {}
    for reading in READINGS:
        for place in reading.places:
            if place.is_in(date):
                name = f"{reading.kind}.{place.path}"
                field = sdk.field(reading.kind, place.path)
                found.setdefault(name.rpartition(".")[0], set()).update(field.neighbours)
                found.setdefault(f"{name} =", set()).update(field.values)
    return {name: sorted(names) for name, names in sorted(found.items()) if names}


def news(sdk: Sdk, known: Mapping[str, Sequence[str]]) -> list[str]:
    """Fields and values that nobody has looked at yet."""
    return [
        f"{sdk.api_version}: {place} has {', '.join(new)}, which is not known yet"
        for place, names in surroundings(sdk).items()
        if (new := sorted(set(names) - set(known.get(place, ()))))
    ]


def known() -> dict[str, list[str]]:
    """What somebody has looked at: the fields and values of the newest release then."""
    loaded: dict[str, list[str]] = json.loads(KNOWN.read_text())
    return loaded


def report(sdk: Sdk) -> None:
    """Warn of what is new; only what is gone fails a test."""
    for line in news(sdk, known()):
        warnings.warn(line, stacklevel=2)


@click.command()
@click.option("--write", is_flag=True, help="Keep what is beside the paths now as known.")
def main(*, write: bool) -> None:
    """Say of every release which paths are gone, and of the newest what is new beside them."""
    sdks = [fetched(release) for release in RELEASES]
    problems = [problem for sdk in sdks for problem in gone(sdk)]
    if write:
        KNOWN.write_text(json.dumps(surroundings(sdks[-1]), indent=1) + "\n")
    for line in (*problems, *news(sdks[-1], known())):
        click.echo(line)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
