"""What two versions of the same events say differently, fact by fact, object by object.

A fact may come with another event in the newer version, so no event is compared with its twin:
what all events of one version say together is compared with what all of the other say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from domain.catalogue.plans import Catalogue
from domain.decode.facts import Fact
from domain.endpoints.moves import MOVES, Condition, Move
from domain.payments.derivation import Payment
from domain.subscriptions.versions import Subscription
from domain.working_set import (
    Touched,
    WorkingSet,
    derive_touched,
    merge_money,
    merge_parties,
)

Told = Sequence[tuple[str, Fact]]
Leaves = dict[str, object]
# Below its id a payment is named so; what it comes to is never excused.
PAYMENT = "payment"
# The path of an object that only one version tells of.
OBJECT = "object"
_TAKEN = ("refund", "dispute", "credit_note")
_TOLD = "told of"


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact of an object that the two versions tell differently; None where one is silent.

    `excuse` says why that is harmless, empty where it is not known to be.
    """

    object_id: str
    path: str
    before: object
    after: object
    excuse: str = ""


@dataclass(frozen=True, slots=True)
class Versions:
    """From which version to which."""

    before: str
    after: str


def differences(
    base: Told, before: Told, after: Told, catalogue: Catalogue, versions: Versions
) -> list[Difference]:
    """Every fact that differs between the events of one version and those of the other.

    `base` is what was known of the same objects already, from other events. Each fact comes with
    the id of its event.
    """
    told = [_joined(before), _joined(after)]
    known = [_joined([*base, *before]), _joined([*base, *after])]
    payments = [_payments(working_set, catalogue) for working_set in known]
    found = [
        _judged(difference, known, payments, versions)
        for difference in _differing(_leaves(told[0]), _leaves(told[1]))
    ]
    flat = [{key: _flat(one) for key, one in of.items()} for of in payments]
    return found + _differing(flat[0], flat[1])


def _joined(told: Told) -> WorkingSet:
    working_set, touched = WorkingSet(), Touched()
    merge_parties(working_set, touched, told)
    merge_money(working_set, touched, told)
    return working_set


def _payments(working_set: WorkingSet, catalogue: Catalogue) -> dict[str, Payment]:
    touched = Touched(objects=dict.fromkeys(working_set.objects))
    derived = derive_touched(working_set, touched, catalogue)
    return {f"{PAYMENT} {root}": payment for root, payment in derived.payments.items()}


def _leaves(working_set: WorkingSet) -> dict[str, Leaves]:
    """Every fact of every object, by the object's id and then by its path."""
    found: dict[str, Leaves] = {}
    found |= {key: _flat(fact) for key, fact in working_set.customers.items()}
    found |= {key: _flat(fact) for key, fact in working_set.objects.items()}
    found |= {key: _of_subscription(one) for key, one in working_set.subscriptions.items()}
    taken: Sequence[Mapping[str, Fact]] = (
        working_set.refunds,
        working_set.disputes,
        working_set.credit_notes,
    )
    for name, of_kind in zip(_TAKEN, taken, strict=True):
        found |= {key: {name: True, **_flat(fact)} for key, fact in of_kind.items()}
    return found


def _of_subscription(subscription: Subscription) -> Leaves:
    """The state that stands; reports are kept whole, and only their order is read from the rest."""
    version, must_ask = subscription.newest()
    leaves = _flat(version.state, "state") if version else {}
    leaves |= _flat(subscription.sold, "sold")
    return {
        **leaves,
        "customer_id": subscription.customer_id,
        "reports": tuple(each.event_id for each in subscription.versions),
        "is_undecided": must_ask,
    }


def _flat(value: Any, path: str = "") -> Leaves:  # noqa: ANN401 - facts hold values of any kind.
    """A value as its leaves, each by its path; what is empty or unknown is no leaf."""
    if is_dataclass(value):
        return _merged(
            _flat(getattr(value, each.name), _below(path, each.name)) for each in fields(value)
        )
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        named = zip(value._fields, value, strict=True)
        return _merged(_flat(each, _below(path, name)) for name, each in named)
    if isinstance(value, Mapping):
        return _merged(_flat(each, _below(path, str(key))) for key, each in value.items())
    if isinstance(value, frozenset | set):
        return {f"{path}[{_shown(each)}]": True for each in value}
    if isinstance(value, list | tuple):
        return _merged(_flat(each, f"{path}[{place}]") for place, each in enumerate(value))
    return {} if value is None else {path: value}


def _merged(parts: Iterable[Leaves]) -> Leaves:
    return {path: value for part in parts for path, value in part.items()}


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: object) -> str:
    return " ".join(f"{path}={leaf}".lstrip("=") for path, leaf in sorted(_flat(value).items()))


def _differing(before: Mapping[str, Leaves], after: Mapping[str, Leaves]) -> list[Difference]:
    found = []
    for object_id in sorted(before.keys() | after.keys()):
        ours, theirs = before.get(object_id, {}), after.get(object_id, {})
        if not (ours and theirs):
            found.append(Difference(object_id, _kind_of(ours or theirs), *_whole(ours, theirs)))
            continue
        found += [
            Difference(object_id, path, ours.get(path), theirs.get(path))
            for path in sorted(ours.keys() | theirs.keys())
            if ours.get(path) != theirs.get(path)
        ]
    return found


def _kind_of(leaves: Leaves) -> str:
    """What an object that only one version tells of is called."""
    return next((name for name in _TAKEN if name in leaves), OBJECT)


def _whole(before: Leaves, after: Leaves) -> tuple[object, object]:
    return (_TOLD if before else None, _TOLD if after else None)


def _judged(
    difference: Difference,
    known: Sequence[WorkingSet],
    payments: Sequence[Mapping[str, Payment]],
    versions: Versions,
) -> Difference:
    for move in MOVES:
        is_meant = move.is_between(versions.before, versions.after) and _is_of(difference, move)
        if is_meant and _is_harmless(difference, move, known, payments):
            return Difference(
                difference.object_id,
                difference.path,
                difference.before,
                difference.after,
                f"since {move.since} {move.why}",
            )
    return difference


def _is_of(difference: Difference, move: Move) -> bool:
    return move.path.fullmatch(difference.path) is not None


def _is_harmless(
    difference: Difference,
    move: Move,
    known: Sequence[WorkingSet],
    payments: Sequence[Mapping[str, Payment]],
) -> bool:
    if move.condition is Condition.ALWAYS:
        return True
    if move.condition is Condition.SAME_PAYMENT:
        return payments[0] == payments[1]
    leaves = [_leaves(of).get(difference.object_id, {}) for of in known]
    if difference.path == OBJECT:
        return leaves[0] == leaves[1]
    return leaves[0].get(difference.path) == leaves[1].get(difference.path)
