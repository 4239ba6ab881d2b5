"""The file of the offline Stripe: JSON that later releases read, and earlier ones' pickles."""

import json
import pickle
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sandbox.simulate.contract_records import Subscription
from sandbox.stripe.state import earlier, records
from sandbox.stripe.state.records import KINDS, NAMED, Reader, UnreadableError, Writer, complete
from sandbox.stripe.state.store import FORMAT
from sandbox.stripe.world import World
from tests.offline_stripe import DAY, offline_stripe


@pytest.fixture
def lived(tmp_path: Path) -> Path:
    """The file of an account that lived for two months and a change of plan."""
    path = tmp_path / "stripe.sqlite"
    with offline_stripe(path) as offline:
        contract = offline.subscription(offline.price(), offline.customer())
        offline.world.advance(40 * DAY)
        dear = offline.price(5800)
        offline.world.switch_plan(offline.portal(owner(offline.world)), contract, dear)
        offline.world.advance(31 * DAY)
    return path


def owner(world: World) -> str:
    """Whose the one subscription is."""
    with world.reading() as shop:
        return next(shop.every(Subscription)).customer.id


def rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a file as JSON."""
    with closing(sqlite3.connect(path)) as connection:
        for record_id, body in connection.execute("SELECT id, body FROM records"):
            yield record_id, json.loads(body)


def rewrite(path: Path, drawn: dict[str, dict[str, Any]]) -> None:
    """Put other JSON in the place of some records."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for record_id, body in drawn.items():
            said = (json.dumps(body), record_id)
            connection.execute("UPDATE records SET body = ? WHERE id = ?", said)


def picture(path: Path) -> list[str]:
    """Every record of an account, as Python shows it."""
    world = World.open(path)
    assert world.set_aside is None
    with world.reading() as shop:
        shown = [repr(one) for one in (shop.now, shop.version, *shop.records)]
        shown += [json.dumps(body) for _, body in sorted(rows(path))]
    world.close()
    return shown


def test_what_was_saved_is_there_again(lived: Path) -> None:
    """Two openings of one file see one account, and it goes on living."""
    assert picture(lived) == picture(lived)
    with offline_stripe(lived) as offline:
        paid = offline.types().count("invoice.paid")
        offline.world.advance(31 * DAY)
        assert offline.types().count("invoice.paid") == paid + 1


def test_a_file_says_how_it_is_written(lived: Path) -> None:
    """The format is named; a record is JSON that names its kind and nothing of Python's."""
    with closing(sqlite3.connect(lived)) as connection:
        (version, account) = connection.execute("SELECT version, state FROM account").fetchone()
    assert version == FORMAT
    assert json.loads(account)["version"]["is"] == "ApiVersion"
    kinds = {body["is"] for _, body in rows(lived)}
    assert {"Customer", "Price", "Subscription", "Invoice", "Charge"} <= kinds


def test_a_file_without_a_new_field_and_with_a_dropped_one_is_read(lived: Path) -> None:
    """Fields with a default may come and go between releases."""
    drawn = dict(rows(lived))
    contracts = {k: body for k, body in drawn.items() if body["is"] == "Subscription"}
    for body in contracts.values():
        del body["quantity_decimal"]
        body["of_another_release"] = [1, {"is": "Nobody"}]
    rewrite(lived, contracts)
    with offline_stripe(lived) as offline:
        assert offline.world.set_aside is None
        offline.world.advance(31 * DAY)
        (contract,) = offline.client.v1.subscriptions.list().data
        assert contract.status == "active"


def test_a_renamed_class_is_found_by_its_former_name(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says so."""
    contracts = {k: {**body, "is": "Contract"} for k, body in rows(lived) if "item_id" in body}
    rewrite(lived, contracts)
    monkeypatch.setattr(records, "FORMER_NAMES", {"Contract": "Subscription"})
    world = World.open(lived)
    assert world.set_aside is None
    world.close()


@pytest.mark.parametrize("missing", ["field", "record", "kind"])
def test_what_cannot_be_understood_is_moved_aside(lived: Path, missing: str) -> None:
    """A field without a default, a record that is only mentioned, a kind that nobody knows."""
    record_id, body = next((k, body) for k, body in rows(lived) if body["is"] == "Subscription")
    if missing == "field":
        del body["period_end"]
    elif missing == "record":
        body["customer"]["of"] = "cus_nobody"
    else:
        body["is"] = "Nobody"
    rewrite(lived, {record_id: body})
    world = World.open(lived)
    assert world.set_aside is not None
    world.close()


def test_every_field_that_a_release_may_lack_is_made_up() -> None:
    """`complete` gives defaults; what has none cannot be read."""
    half: Any = object.__new__(KINDS["Coupon"])
    with pytest.raises(UnreadableError, match="Coupon has no id"):
        complete(half)
    object.__setattr__(half, "id", "c")
    complete(half)
    assert repr(half) == repr(KINDS["Coupon"]("c"))


def test_values_come_back_as_they_were() -> None:
    """Tuples, mappings by number, fractions."""
    values: tuple[Any, ...] = ((1, "a"), {1: [None]}, Fraction(1, 3), [[]], {"is": "x"}, 0.5)
    for value in values:
        written = json.loads(json.dumps(Writer().value(value)))
        assert Reader({}).value(written) == value
    with pytest.raises(TypeError, match="has no JSON"):
        Writer().value(object())


def test_whatever_changes_has_an_id() -> None:
    """Else two mentions of one record would come back as two records."""
    kinds = [kind for kind in KINDS.values() if is_dataclass(kind)]
    changing = {kind for kind in kinds if not kind.__dataclass_params__.frozen}  # type: ignore[attr-defined]
    assert changing == NAMED


def test_a_pickle_makes_nothing_but_records() -> None:
    """A file is data, whoever wrote it."""
    harmful = pickle.dumps(subprocess.Popen)
    with pytest.raises(pickle.UnpicklingError, match="none of an account's"):
        earlier.load(harmful)
