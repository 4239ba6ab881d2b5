"""Webhook endpoints as values: what ours must be, and every way in which one drifts from it."""

from dataclasses import replace
from typing import Any

import pytest

from domain.decode import DECODERS
from domain.endpoints import shadow
from domain.endpoints.endpoint import (
    Endpoint,
    Kind,
    Style,
    Wanted,
    bare,
    drift,
    is_for_us,
    of_classic,
    of_destination,
    types_for,
    whole,
)

URL = "https://shop.example/billing/stripe/webhook/"
VERSION = "2026-10-28.endive"
TYPES = frozenset(DECODERS)
WELL = Endpoint("we_1", Kind.CLASSIC, URL, Style.SNAPSHOT, VERSION, TYPES, is_enabled=True)
WANTED = Wanted(URL, Style.SNAPSHOT, VERSION, TYPES)


def test_what_is_as_wanted_does_not_drift() -> None:
    """Nor does one whose URL differs in nothing but a slash or a query."""
    assert drift(WELL, WANTED) == []
    assert drift(replace(WELL, url=f"{URL.rstrip('/')}?x=1"), WANTED) == []


@pytest.mark.parametrize(
    ("changes", "what", "says", "can_mend", "is_grave"),
    [
        ({"url": "https://old.example/x/"}, "url", "its URL is https://old.example/x/", True, True),
        ({"types": TYPES - {"invoice.paid"}}, "types", "it lacks invoice.paid", True, True),
        ({"types": TYPES | {"a.b"}}, "types", "it sends a.b, of no use here", True, False),
        ({"types": frozenset("*")}, "types", "it sends every type", True, False),
        ({"version": "2025-02-24.acacia"}, "version", "it sends 2025-02-24.acacia", False, True),
        ({"version": ""}, "version", "it sends the account's default version", False, False),
        ({"is_enabled": False}, "status", "it is disabled", True, True),
        ({"hears_others": True}, "accounts", "it listens to connected accounts", False, True),
    ],
)
def test_each_way_to_drift_is_told_with_its_cure(
    changes: dict[str, Any], what: str, says: str, *, can_mend: bool, is_grave: bool
) -> None:
    """And whether Stripe lets it be changed on the endpoint that is there."""
    (found,) = drift(replace(WELL, **changes), WANTED)
    assert found.what == what
    assert found.says.startswith(says)
    assert (found.can_mend, found.is_grave) == (can_mend, is_grave)
    assert found.cure


def test_a_thin_endpoint_has_no_version_and_types_of_its_own_names() -> None:
    """A thin event is pinned to none."""
    types = types_for(Style.THIN, ["invoice.paid"])
    thin = replace(WELL, style=Style.THIN, version="", types=types)
    assert types == {"v1.invoice.paid"}
    wanted = Wanted(URL, Style.THIN, VERSION, types)
    assert drift(thin, wanted) == []
    health = "v2.core.health.event_generation_failure.resolved"
    assert drift(replace(thin, types=types | {health}), wanted) == []


def test_stripes_two_kinds_are_read_alike() -> None:
    """Whatever either has that the other has not is left open."""
    classic = of_classic(
        {
            "id": "we_1",
            "url": URL,
            "api_version": VERSION,
            "enabled_events": sorted(TYPES),
            "status": "enabled",
            "application": None,
            "metadata": {"fiko_billing": "endpoint"},
        }
    )
    assert replace(classic, metadata=None) == WELL
    assert classic.mark == "endpoint"
    destination = of_destination(
        {
            "id": "ed_1",
            "webhook_endpoint": {"url": URL},
            "event_payload": "thin",
            "snapshot_api_version": None,
            "enabled_events": ["v1.invoice.paid"],
            "events_from": ["@self", "@accounts"],
            "status": "disabled",
        }
    )
    assert destination is not None
    assert (destination.kind, destination.style) == (Kind.DESTINATION, Style.THIN)
    assert destination.hears_others
    assert not destination.is_enabled
    assert of_destination({"id": "ed_2", "amazon_eventbridge": {}}) is None


def test_ours_is_what_we_made_or_what_posts_to_the_receiver() -> None:
    """Another system may have endpoints in the same account."""
    assert is_for_us(WELL)
    elsewhere = replace(WELL, url="https://other.example/hooks")
    assert not is_for_us(elsewhere)
    assert is_for_us(replace(elsewhere, metadata={"fiko_billing": "endpoint"}))
    assert not is_for_us(replace(WELL, url="https://[broken"))


def test_a_host_alone_means_the_receivers_path() -> None:
    """Whoever gives a path means that one."""
    assert whole("https://shop.example") == URL
    assert whole("https://shop.example/") == URL
    assert whole("https://shop.example/mine/") == "https://shop.example/mine/"
    assert bare("https://Shop.example/mine?a=b") == "https://shop.example/mine/"


@pytest.mark.parametrize("url", [URL, f"{URL}?tenant=a%20b&empty="])
def test_a_shadow_is_told_by_its_query(url: str) -> None:
    """Whatever else is in the query stays."""
    shadowed = shadow.shadowed(url)
    query = shadowed.partition("?")[2]
    assert shadow.is_shadow(query)
    assert not shadow.is_shadow(url.partition("?")[2])
    assert not shadow.is_shadow("shadow=10&noshadow=1")
    assert shadowed.startswith(url)
