"""Events of accounts that are connected to ours: signed with our secret, and not ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from dev.simulate.engine import Engine
from dev.simulate.expected import NoBooks


@contextmanager
def connected(account: Engine, *, key: str = "account") -> Iterator[None]:
    """Let all that happens within belong to another account, which the envelope names.

    `key` is where it is named: `account`, or `context`. Our books hear nothing of it.
    """
    books, account.books = account.books, NoBooks()
    account.whose = {key: account.new_id("acct", 17)}
    try:
        yield
    finally:
        account.books, account.whose = books, {}
