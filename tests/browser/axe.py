"""axe-core in a page at hand: what keeps people out of it."""

from functools import cache

import pytest
from playwright.sync_api import Page

from dev.checks import node
from dev.checks.clients import FOLDER
from dev.checks.node import NodeUnavailableError

# The version is pinned by the lock of `clients/`.
SCRIPT = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
_RUN = "() => axe.run(document, { resultTypes: ['violations'] })"


@cache
def _source() -> str:
    try:
        node.install(FOLDER)
    except NodeUnavailableError as error:
        pytest.skip(f"axe-core cannot be had here: {error}")
    return SCRIPT.read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """Each violation with the elements that it is about."""
    page.evaluate(_source())
    found = page.evaluate(_RUN)["violations"]
    return [
        f"{one['id']} ({one['impact']}): " + "; ".join(node["html"][:120] for node in one["nodes"])
        for one in found
    ]
