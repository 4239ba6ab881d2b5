"""Reads accounts that releases up to 0.2.0 saved: one pickled value.

A pickled record names its class. A class that moves or is renamed stays readable by a line here,
and a field that such a record lacks gets its default; new fields come last for its sake. The file
is this machine's own; still, nothing but the account's own classes is made of it.
"""

import io
import pickle
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from sandbox.stripe.state.account import State
from sandbox.stripe.state.records import KINDS, complete

# Fingerprints of what was pickled: of 0.2.0, and of the last account before JSON.
VERSIONS = frozenset({"93bfeebb", "59eb6a00"})

_SIMULATE = "sandbox.simulate"
_RECORDS = f"{_SIMULATE}.records"
_CONTRACTS = ("Customer", "Price", "Item", "Subscription", "Line")
_MONEY = ("Intent", "Charge", "Refund", "Dispute")
_RENAMED = {
    (f"{_SIMULATE}.expected", "NoBooks"): (f"{_SIMULATE}.expected", "NothingExpected"),
    ("sandbox.stripe.keeper", "State"): ("sandbox.stripe.state.account", "State"),
    **{(_RECORDS, name): (f"{_SIMULATE}.contract_records", name) for name in _CONTRACTS},
    **{(_RECORDS, name): (f"{_SIMULATE}.money_records", name) for name in _MONEY},
}
_OTHERS = {("random", "Random"): random.Random, ("fractions", "Fraction"): Fraction}


class _Reader(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> object:
        """The class that a record of that name has today."""
        if (module_name, global_name) in _OTHERS:
            return _OTHERS[module_name, global_name]
        module_name, global_name = _RENAMED.get(
            (module_name, global_name), (module_name, global_name)
        )
        if not module_name.startswith("sandbox."):
            raise pickle.UnpicklingError(f"{module_name}.{global_name} is none of an account's")
        return super().find_class(module_name, global_name)


def load(pickled: bytes) -> State:
    """The account that was saved so. Raises `pickle.UnpicklingError`."""
    state = _Reader(io.BytesIO(pickled)).load()
    if not isinstance(state, State):
        raise pickle.UnpicklingError("it is no account")
    for record in _all(state):
        complete(record)
    return state


def _all(state: State) -> Iterator[object]:
    """Every object of a class of ours that the account holds, each once."""
    seen: set[int] = set()
    waiting: list[Any] = [state.switches, *state.shop.records.values(), state.shop.version]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
        elif type(value).__name__ in KINDS and id(value) not in seen:
            seen.add(id(value))
            yield value
            waiting += (getattr(value, name) for name in type(value).__slots__)
