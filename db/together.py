"""Statements that go to PostgreSQL in one message: in a small batch the way there costs most.

The server runs them one after the other, each as if it had come alone.
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, CursorResult, TextClause, text

# Between two statements of a message; no statement of ours has it inside.
BETWEEN = ";\n"


class Together:
    """Statements of one connection that wait to be sent, none of whose results is wanted yet."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._statements: list[str] = []
        self._values: dict[str, Any] = {}

    def add(self, statement: str, **values: Any) -> None:  # noqa: ANN401 - as SQLAlchemy takes them.
        """Have a statement sent with the others; raises ValueError where two name a value alike."""
        if alike := self._values.keys() & values.keys():
            raise ValueError(f"two statements that go together have a value {sorted(alike)}")
        self._statements.append(statement)
        self._values |= values

    def run(self) -> CursorResult[Any] | None:
        """Send what waits; returns what the last of them came to, None when nothing waited."""
        if not self._statements:
            return None
        statement, values = _joined(tuple(self._statements)), self._values
        self._statements, self._values = [], {}
        return self.connection.execute(statement, values)


@lru_cache(maxsize=512)
def _joined(statements: tuple[str, ...]) -> TextClause:
    return text(BETWEEN.join(statements))
