"""Debits: once for each key, and never below zero."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from db.ledger import debits
from db.ledger.debits import Debited, InsufficientTokensError
from domain.errors import KeyReusedError
from tests.pipeline import balances


@pytest.fixture
def account(engine: Engine) -> Engine:
    """A user with 100 tokens."""
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO token_accounts (user_id, balance) VALUES ('u', 100)"))
        connection.execute(
            text(
                "INSERT INTO ledger_entries (user_id, delta, kind, balance_after, reason)"
                " VALUES ('u', 100, 'adjustment', 100, 'a gift')"
            )
        )
    return engine


def debit(engine: Engine, amount: int, key: str, reason: str = "a picture") -> Debited:
    """Debit the user in a transaction of its own."""
    with engine.begin() as connection:
        return debits.debit(connection, "u", amount=amount, reason=reason, idempotency_key=key)


def test_a_debit_moves_balance_and_ledger_together(account: Engine) -> None:
    """The entry says what was left."""
    debited = debit(account, 30, "k1")
    assert (debited.is_new, debited.entry.delta, debited.entry.balance_after) == (True, -30, 70)
    assert balances(account) == {"u": 70}


def test_a_key_takes_its_tokens_once(account: Engine) -> None:
    """A repeat gets the same entry, also where the balance would not cover it any more."""
    first = debit(account, 80, "k1")
    again = debit(account, 80, "k1")
    assert (again.is_new, again.entry) == (False, first.entry)
    assert balances(account) == {"u": 20}


@pytest.mark.parametrize(("amount", "reason"), [(31, "a picture"), (30, "a song")])
def test_a_key_stands_for_one_amount_and_reason(account: Engine, amount: int, reason: str) -> None:
    """Anything else under it is a mistake of the caller."""
    debit(account, 30, "k1")
    with pytest.raises(KeyReusedError):
        debit(account, amount, "k1", reason)
    assert balances(account) == {"u": 70}


def test_what_the_balance_does_not_cover_is_refused(account: Engine) -> None:
    """All of it may be spent, and not one more; a user without an account has nothing."""
    debit(account, 100, "k1")
    with pytest.raises(InsufficientTokensError) as error:
        debit(account, 1, "k2")
    assert error.value.balance == 0
    with account.begin() as connection, pytest.raises(InsufficientTokensError):
        debits.debit(connection, "nobody", amount=1, reason="x", idempotency_key="k")


def test_debits_of_one_user_queue(account: Engine) -> None:
    """The second waits for the first, and sees what that left."""
    with ThreadPoolExecutor(1) as pool:
        with account.begin() as connection:
            debits.debit(connection, "u", amount=80, reason="x", idempotency_key="k1")
            second = pool.submit(debit, account, 80, "k2")
            with pytest.raises(TimeoutError):
                second.result(timeout=0.3)
        with pytest.raises(InsufficientTokensError):
            second.result(timeout=10)
    assert balances(account) == {"u": 20}
