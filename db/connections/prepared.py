"""Statements that a session of PostgreSQL plans once, for whatever they are given.

Planning one for its own values costs more than looking rows up by their keys, and goes wrong where
nobody has analysed the tables yet, as in the first minute of a backlog: a long list of ids is taken
for half of a table then, which is read whole for it, by two further processes at once. So every
statement of a batch is prepared, and planned for lists of unknown length. Every such plan looks
each row up by an index, also while its table is still so small that reading all of it would be
cheaper: the table may have grown a thousandfold before anything has PostgreSQL plan anew
(docs/decisions/0022).

Behind a pooler nothing is prepared: the next transaction has another session. A statement is
planned for its own values there, and goes by an index all the same.
"""

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, event

from db.together import BETWEEN

_OPTION: Final = "prepared"
_PREPARABLE: Final = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
_VALUE: Final = re.compile(r"%\((\w+)\)s")
# For this transaction: each row is looked up by its key, also where a plan for it looks dearer than
# one that reads a table whole, or so dear that it is worth compiling.
_CHOSEN: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
_SETTINGS: Final = "SELECT " + ", ".join(
    f"set_config('{name}', '{value}', true)" for name, value in _CHOSEN.items()
)


class _Part(NamedTuple):
    """A statement as it is prepared, and the values that it is then run with."""

    body: str
    values: str


class _Transaction:
    """A transaction that uses these plans; whether its first message has been sent."""

    has_begun = False


def prepare_statements(engine: Engine, *, pooled: bool = False) -> None:
    """Let transactions of this engine's sessions use prepared statements, or just such plans."""
    event.listen(engine, "do_execute", _begin if pooled else _execute)


def use(connection: Connection) -> None:
    """Use prepared statements in this transaction, or such plans, where the engine has them."""
    connection.execution_options(**{_OPTION: _Transaction()})


def _execute(cursor: Any, statement: str, parameters: object, context: Any) -> bool:  # noqa: ANN401 - as SQLAlchemy calls it.
    """Run a statement, or several that go together, as prepared; whether it was done."""
    transaction = context.execution_options.get(_OPTION)
    if transaction is None or context.compiled is None or not (parts := _parts(statement)):
        return False
    session = cursor.connection
    names: dict[str, str] = {} if session.prepared is None else session.prepared
    # What a message that fails has prepared is not known.
    message = ["DEALLOCATE ALL"] if session.prepared is None else []
    session.prepared = None
    if not transaction.has_begun:
        message.append(_SETTINGS)
        transaction.has_begun = True
    for part in parts:
        if part.body not in names:
            names[part.body] = f"statement_{len(names)}"
            message.append(f"PREPARE {names[part.body]} AS {part.body}")
        message.append(f"EXECUTE {names[part.body]}{part.values}")
    cursor.execute(BETWEEN.join(message), parameters)
    session.prepared = names
    return True


def _begin(cursor: Any, statement: str, parameters: object, context: Any) -> bool:  # noqa: ANN401 - as SQLAlchemy calls it.
    """Send the settings with the first statement of a transaction; whether that was done."""
    transaction = context.execution_options.get(_OPTION)
    if transaction is None or transaction.has_begun or not _parts(statement):
        return False
    transaction.has_begun = True
    cursor.execute(BETWEEN.join((_SETTINGS, statement)), parameters)
    return True


@lru_cache(maxsize=512)
def _parts(statement: str) -> tuple[_Part, ...]:
    """The statements of a message; none where one of them cannot be prepared."""
    parts = tuple(_part(each) for each in statement.split(BETWEEN))
    return parts if all(_PREPARABLE.match(part.body) for part in parts) else ()


def _part(statement: str) -> _Part:
    names = list(dict.fromkeys(_VALUE.findall(statement)))
    body = _VALUE.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
    values = ", ".join(f"%({name})s" for name in names)
    return _Part(body, f"({values})" if values else "")
