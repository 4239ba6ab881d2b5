"""The site of the documents opens from a disk: it draws and searches, and asks nobody."""

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return target


@pytest.fixture
def reader(context: BrowserContext) -> Page:
    """A page of somebody who has no network."""
    context.set_offline(offline=True)
    return context.new_page()


def test_the_diagram_is_drawn(site: Path, reader: Page) -> None:
    """Large enough to be read, within a frame that scrolls."""
    reader.goto((site / "data-model.html").as_uri())
    drawn = reader.locator(".diagram > div.mermaid")
    expect(drawn).to_be_visible()
    box = drawn.bounding_box()
    assert box
    assert box["height"] > 500
    assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [390, 1280])
def test_what_is_searched_is_found(site: Path, reader: Page, width: int) -> None:
    """On a telephone too."""
    reader.set_viewport_size({"width": width, "height": 900})
    reader.goto((site / "index.html").as_uri())
    if width < 960:
        reader.locator("label[for=__search]:visible").first.click()
    reader.locator("input[name=query]").click()
    reader.keyboard.type("refund", delay=50)
    expect(reader.locator(".md-search-result__item").first).to_be_visible()
