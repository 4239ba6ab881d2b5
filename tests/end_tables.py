"""What a run came to, as sets of rows, so that two runs can be compared."""

from collections.abc import Mapping

from sqlalchemy import Engine, text


def rows_of(engine: Engine, columns: Mapping[str, str]) -> dict[str, set[str]]:
    """The rows of these tables as text; balances, sums."""
    found = {}
    with engine.connect() as connection:
        for name, wanted in columns.items():
            rows = connection.execute(text(f"SELECT {wanted} FROM {name}"))  # noqa: S608 - ours.
            found[name] = {str(tuple(row)) for row in rows}
        # An account that came to nothing again may exist or not: that is history.
        balances = text("SELECT user_id, balance FROM token_accounts WHERE balance <> 0")
        found["balances"] = {str(tuple(row)) for row in connection.execute(balances)}
        sums = text(
            "SELECT p.root_id, e.user_id, sum(e.delta) AS total FROM ledger_entries AS e"
            " JOIN payments AS p ON p.id = e.payment_id GROUP BY 1, 2"
        )
        found["ledger"] = {str(tuple(row)) for row in connection.execute(sums) if row.total}
    return found
