"""The documents build into a site without a warning, and everything in it leads somewhere."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
VENDOR = DOCS / "assets" / "vendor"
TOP_PAGES = ("ARCHITECTURE", "CHANGELOG", "CONTRIBUTING", "SECURITY")


@dataclass
class Page(HTMLParser):
    """What a page of the site links to, loads and can be linked to at."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect from one tag."""
        values = dict(attrs)
        self.anchors.update(filter(None, (values.get("id"), values.get("name"))))
        address = values.get("href") or values.get("src")
        if address and tag == "a":
            self.links.append(address)
        elif address:
            self.loaded.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as it is built from the documents of today."""
    target = tmp_path_factory.mktemp("site")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=ROOT,
        # The theme's own news is none of ours.
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    told = result.stdout + result.stderr
    assert result.returncode == 0, told
    assert [line for line in told.splitlines() if not line.startswith("INFO ")] == []
    return target


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page of the site, read."""
    found: dict[Path, Page] = {}
    for path in sorted(site.rglob("*.html")):
        found[path] = Page()
        found[path].feed(path.read_text("utf-8"))
    return found


def within(pages: dict[Path, Page], site: Path) -> Iterator[tuple[Path, str, Path, str]]:
    """Which page names which address, with the file and the anchor that it leads to."""
    for path, page in pages.items():
        for address in (*page.links, *page.loaded):
            parts = urlsplit(address)
            # The page for a wrong address may be shown anywhere, so it begins at the root.
            base = site if path.name == "404.html" or parts.path.startswith("/") else path.parent
            if not parts.scheme:
                named = base / unquote(parts.path).lstrip("/") if parts.path else path
                yield path, address, named.resolve(), unquote(parts.fragment)


def test_every_document_is_a_page(site: Path, pages: dict[Path, Page]) -> None:
    """Also a decision that was added today."""
    wanted = {DOCS.joinpath(path).relative_to(DOCS) for path in DOCS.rglob("*.md")}
    names = {str(path.with_suffix("")).replace("README", "index") for path in wanted}
    found = {str(path.relative_to(site).with_suffix("")) for path in pages}
    assert found == names | set(TOP_PAGES) | {"404"}


def test_every_page_is_in_the_navigation(site: Path, pages: dict[Path, Page]) -> None:
    """From the first page on, with a click for each."""
    home = site / "index.html"
    reached = {target for path, _, target, _ in within(pages, site) if path == home}
    assert set(pages) - reached - {site / "404.html"} == set()


def test_every_link_within_the_site_leads_to_something(site: Path, pages: dict[Path, Page]) -> None:
    """Files and anchors."""
    broken = {
        f"{path.relative_to(site)}: {address}"
        for path, address, target, anchor in within(pages, site)
        if path.name != "404.html"
        and (
            not target.exists()
            or (anchor and target in pages and anchor not in pages[target].anchors)
        )
    }
    assert broken == set()


def test_no_page_loads_anything_from_elsewhere(pages: dict[Path, Page]) -> None:
    """It is read without a network, and nobody learns who reads it."""
    remote = {address for page in pages.values() for address in page.loaded if "//" in address}
    assert remote == set()


def test_what_others_wrote_is_what_they_released() -> None:
    """With its licence beside it."""
    rows = [line.split() for line in (VENDOR / "SOURCES.txt").read_text("utf-8").splitlines()]
    kept = {row[1]: row[0] for row in rows if len(row) > 1 and len(row[0]) == 64}
    assert set(kept) == {path.name for path in VENDOR.glob("*.js")}
    for name, digest in kept.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
        assert (VENDOR / f"{name.split('.')[0]}.LICENSE").exists()
