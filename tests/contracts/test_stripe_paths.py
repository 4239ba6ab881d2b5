"""What decoders read is there in every release of Stripe's SDK; what is new beside it is told."""

import re
import zipfile
from functools import cache
from pathlib import Path

import pytest

from dev.checks.stripe_paths import RELEASES, NotFetched, fetched, gone, known, news, report
from dev.checks.stripe_sdk import PathGone, Sdk
from domain.decode.paths import NEWEST, READINGS, Place, Reading
from domain.decode.version_check import version_date

NEWEST_RELEASE = list(RELEASES)[-1]
_INVOICE = "stripe/_invoice.py"


@cache
def why_none() -> str | None:
    """Why this machine can have no release; asked once."""
    try:
        fetched(NEWEST_RELEASE)
    except NotFetched as why:
        return f"pip has no stripe {NEWEST_RELEASE} here: {why}"
    return None


def sdk_of(release: str) -> Sdk:
    """A release, where this machine can have one."""
    if why := why_none():
        pytest.skip(why)
    return fetched(release)


@pytest.mark.parametrize("release", RELEASES)
def test_every_path_is_there(release: str) -> None:
    """Each place from the version on that the contract names, and until the one that it names."""
    sdk = sdk_of(release)
    assert sdk.api_version == RELEASES[release]
    assert gone(sdk) == []


@pytest.mark.parametrize("release", RELEASES)
def test_what_the_contract_says_is_not_there_is_not(release: str) -> None:
    """So that `doctor` says nothing of a version that is not so."""
    sdk = sdk_of(release)
    date = version_date(sdk.api_version) or ""
    for reading in READINGS:
        for place in reading.places:
            if not place.is_in(date):
                with pytest.raises(PathGone):
                    sdk.field(reading.kind, place.path)


def test_the_newest_release_is_the_newest_version_of_the_contract() -> None:
    """Whoever adds a release says up to where paths were held."""
    assert version_date(RELEASES[NEWEST_RELEASE]) == NEWEST


def test_what_is_new_beside_the_paths_is_told() -> None:
    """A new field or value may mean something to us; that is no failure."""
    report(sdk_of(NEWEST_RELEASE))


def changed(wheel: Path, directory: Path, old: str, new: str) -> Sdk:
    """A release in which the source of invoices says something else."""
    copy = directory / wheel.name
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(copy, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == _INVOICE:
                content, number = re.subn(old.encode(), new.encode(), content)
                assert number == 1
            target.writestr(name, content)
    return Sdk(copy)


def test_a_renamed_field_is_named_with_its_file(tmp_path: Path) -> None:
    """The first thing that an upgrade of an endpoint would break."""
    sdk = changed(
        sdk_of(NEWEST_RELEASE).wheel, tmp_path, r"(?m)^    amount_paid: ", "    amount_settled: "
    )
    (problem,) = gone(sdk)
    assert problem == (
        "this path is gone in 2026-10-28.endive: invoice.amount_paid"
        f" ({_INVOICE}: amount_paid, of invoice.amount_paid)"
    )


def test_a_renamed_object_on_the_way_is_named(tmp_path: Path) -> None:
    """Every path that leads through it is gone."""
    sdk = changed(
        sdk_of(NEWEST_RELEASE).wheel,
        tmp_path,
        r"(?m)^        subscription_details: Optional\[SubscriptionDetails\]",
        "        details: Optional[SubscriptionDetails]",
    )
    assert [line.split(" (")[0].rpartition(": ")[2] for line in gone(sdk)] == [
        "invoice.parent.subscription_details.subscription",
        "invoice.parent.subscription_details.metadata",
    ]


def test_a_new_field_and_a_new_value_are_news(tmp_path: Path) -> None:
    """Nobody has looked at them."""
    sdk = changed(
        sdk_of(NEWEST_RELEASE).wheel,
        tmp_path,
        r"(?m)^    amount_paid: int\n",
        '    amount_paid: int\n    amount_guessed: Union[Literal["wild"], str]\n',
    )
    assert news(sdk, known()) == [
        "2026-10-28.endive: invoice has amount_guessed, which is not known yet"
    ]
    guessed = Reading("invoice", "a guess", (Place("amount_guessed"),))
    assert gone(sdk, [guessed]) == []
    assert sdk.field("invoice", "amount_guessed").values == {"wild"}
