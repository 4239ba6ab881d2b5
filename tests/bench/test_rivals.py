"""Rivals' packages: made once, whole or not at all, and left out with a reason where they fail."""

import sys
from pathlib import Path

import pytest

from bench import corpus
from bench.rivals import cache, dj_stripe, sync_engine


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that is empty."""
    monkeypatch.setattr(cache, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_a_folder_is_made_once(folder: Path) -> None:
    """And another set of packages gets another one."""
    made: list[Path] = []
    places = [cache.made("node", packages, made.append) for packages in ("a", "a", "b")]
    assert places[0] == places[1] != places[2]
    assert len(made) == 2
    assert sorted(folder.iterdir()) == sorted(set(places))


def test_what_could_not_be_installed_leaves_nothing_and_a_reason(folder: Path) -> None:
    """The last thing that the installer said."""

    def make(place: Path) -> None:
        code = "import sys; print('first'); sys.exit('no such package')"
        cache.install((sys.executable, "-c", code), place)

    with pytest.raises(cache.UnavailableError, match="could not be installed"):
        cache.made("python", ("nothing",), make)
    assert not list(folder.iterdir())


def test_without_node_the_reason_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made."""
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(cache.UnavailableError, match="not installed"):
        cache.node_folder(("x",))
    assert not folder.exists()


def test_packages_are_pinned() -> None:
    """Or figures of two days were of two rivals."""
    for package in sync_engine.PACKAGES:
        assert package.rpartition("@")[2][0].isdigit(), package
    for package in dj_stripe.PACKAGES:
        assert "==" in package, package


def test_the_mirror_has_a_table_for_every_object_that_is_sent() -> None:
    """So that no event can be lost there unseen."""
    kinds = {event.payload["data"]["object"]["object"] for event in corpus.events(3_000, "kinds")}
    assert kinds <= sync_engine.TABLES.keys()
