"""Events of accounts that are connected to ours: signed with our secret, and not ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.simulate.engine import Engine
from sandbox.simulate.expected import NothingExpected


@contextmanager
def connected(account: Engine, *, key: str = "account") -> Iterator[None]:
    """Let all that happens within belong to another account, which the envelope names.

    `key` is where it is named: `account`, or `context`. The expected account learns nothing of it.
    """
    expected, account.expected = account.expected, NothingExpected()
    account.whose = {key: account.new_id("acct", 17)}
    try:
        yield
    finally:
        account.expected, account.whose = expected, {}
