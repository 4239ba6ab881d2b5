"""What is said of the account's endpoints: whose they are, and what is wrong with those of ours."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from db.endpoints.changes import Change, Purpose, State
from db.endpoints.own import OwnEndpoint
from domain.decode import DECODERS
from domain.endpoints.endpoint import Endpoint, Kind, Style
from workers.endpoints.checking import Look, judged

URL = "https://shop.example/billing/stripe/webhook/"
VERSION = "2026-10-28.endive"
WELL = Endpoint(
    "we_1", Kind.CLASSIC, URL, Style.SNAPSHOT, VERSION, frozenset(DECODERS), is_enabled=True
)
NOTED = OwnEndpoint("we_1", "classic", URL, "snapshot", None)
CHANGE = Change(
    id=7,
    purpose=Purpose.UPGRADE,
    state=State.ENABLED,
    kind="classic",
    url=URL,
    old_id="we_1",
    new_id="we_2",
    from_version="2025-02-24.acacia",
    to_version=VERSION,
    secret_hash=None,
    old_secret_hash=None,
    begun_at=datetime.now(UTC),
    enabled_at=None,
    quiet_from=None,
)


def look(
    *found: Endpoint, noted: OwnEndpoint | None = None, change: Change | None = None, url: str = ""
) -> Look:
    """What is said of these."""
    return judged(found, noted, change, version=VERSION, url=url)


def drifts(said: Look) -> list[list[str]]:
    """What drifts of each endpoint."""
    return [[each.what for each in checked.drift] for checked in said.checked]


def changed(**changes: Any) -> Endpoint:
    """The endpoint that is well, but for this."""
    return replace(WELL, **changes)


def test_where_nothing_is_noted_ours_is_who_posts_to_the_receivers_path() -> None:
    """Of another system's endpoint nothing is said but that it posts elsewhere."""
    other = changed(id="we_9", url="https://other.example/", types=frozenset({"a.b"}))
    said = look(WELL, other)
    assert [each.is_ours for each in said.checked] == [True, False]
    assert drifts(said) == [[], []]
    assert said.checked[1].note == "it posts elsewhere"
    assert said.missing == ""
    assert "no endpoint of this account" in look(other).missing


def test_another_installation_in_the_same_account_is_none_of_ours() -> None:
    """What was noted, or where it must post, tells them apart."""
    staging = changed(id="we_9", url="https://staging.example/billing/stripe/webhook/", version="")
    assert [each.is_ours for each in look(WELL, staging, noted=NOTED).checked] == [True, False]
    found = look(WELL, staging, url="https://staging.example")
    assert [each.is_ours for each in found.checked] == [False, True]


def test_a_noted_endpoint_that_posts_elsewhere_or_is_gone_is_told() -> None:
    """Somebody changed it at the dashboard."""
    moved = changed(url="https://old.example/billing/stripe/webhook/")
    assert drifts(look(moved, noted=NOTED)) == [["url"]]
    assert "is gone" in look(changed(id="we_3"), noted=NOTED).missing


def test_two_that_send_the_same_are_one_too_many() -> None:
    """Each event would come twice; a thin one beside a snapshot one is as wanted."""
    twin = changed(id="we_2")
    assert drifts(look(WELL, twin)) == [[], ["twice"]]
    assert drifts(look(WELL, changed(id="we_2", is_enabled=False))) == [[], ["status"]]
    thin = frozenset(f"v1.{name}" for name in DECODERS)
    beside = changed(id="ed_1", kind=Kind.DESTINATION, style=Style.THIN, version="", types=thin)
    assert drifts(look(WELL, beside)) == [[], []]


def test_while_a_change_is_under_way_its_two_endpoints_are_as_they_must_be() -> None:
    """And a shadow that no change is of was left over."""
    old = changed(version="2025-02-24.acacia")
    shadow = changed(id="we_2", url=f"{URL}?shadow=1")
    said = look(old, shadow, noted=NOTED, change=CHANGE)
    assert drifts(said) == [[], []]
    assert "upgrade that is under way" in said.checked[1].note
    assert drifts(look(WELL, shadow, noted=NOTED)) == [[], ["left over"]]
