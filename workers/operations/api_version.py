"""Whether an endpoint may be upgraded to a version of Stripe's API, as far as the paths tell."""

from collections.abc import Iterator

from domain.decode.paths import NEWEST, OLDEST, in_version
from domain.decode.version_check import version_date
from workers.operations.findings import Finding, Level

_SUBJECT = "api version"


def examine_version(version: str) -> Iterator[Finding]:
    """What an endpoint of this version would mean; nothing is asked of anybody."""
    date = version_date(version)
    if date is None:
        says = f"{version!r} is no version: one is named after a day, as in {NEWEST}"
        yield Finding(_SUBJECT, Level.FAIL, says, "see `webhook` in doctor for those in use")
        return
    if not OLDEST <= date <= NEWEST:
        age = "newer" if date > NEWEST else "older"
        says = f"{version} is {age} than what paths were held to, {OLDEST} to {NEWEST}"
        cure = "stay at a version between them, or take a release of this product that knows it"
        yield Finding(_SUBJECT, Level.FAIL, says, cure)
        return
    yield from _of_paths(version, date)


def _of_paths(version: str, date: str) -> Iterator[Finding]:
    readings = in_version(date)
    lost = [reading for reading, places in readings if not places and not reading.without]
    for reading in lost:
        says = f"{version} has no place that tells of {reading.kind}: {reading.means}"
        yield Finding(_SUBJECT, Level.FAIL, says, "stay at the version that the endpoint has")
    for reading, places in readings:
        if not places and reading.without:
            says = f"{reading.kind}: {reading.means} is not told; {reading.without}"
            yield Finding(_SUBJECT, Level.OK, says)
    if not lost:
        says = f"an endpoint may be at {version}: all {len(readings)} things are read or replaced"
        yield Finding(_SUBJECT, Level.OK, says)
