"""Which account is ours: what Stripe said of one key, and of no other."""

import pytest
from sqlalchemy import Connection, Engine, text

from db.questions import own_account
from db.questions.own_account import ASK_AGAIN_SECONDS

# The hashes of two keys.
ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture
def unasked(engine: Engine) -> Engine:
    """Stripe was never asked."""
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE own_account"))
    return engine


def age(connection: Connection, seconds: int) -> None:
    """Let the answer be so old."""
    back = text("UPDATE own_account SET asked_at = asked_at - make_interval(secs => :seconds)")
    connection.execute(back, {"seconds": seconds})


def test_an_answer_stands_for_its_key_alone(unasked: Engine) -> None:
    """Another key is asked about anew, and its answer takes the place of the first."""
    with unasked.begin() as connection:
        assert not own_account.is_answered(connection, ONE)
        own_account.keep(connection, ONE, "acct_1")
        age(connection, ASK_AGAIN_SECONDS + 1)
        assert (own_account.known(connection, ONE), own_account.known(connection, TWO)) == (
            "acct_1",
            None,
        )
        assert own_account.is_answered(connection, ONE)
        assert not own_account.is_answered(connection, TWO)
        own_account.keep(connection, TWO, "acct_2")
        assert own_account.known(connection, ONE) is None


def test_a_refusal_is_asked_again_after_a_while(unasked: Engine) -> None:
    """Not at every drain."""
    with unasked.begin() as connection:
        own_account.keep(connection, ONE, None)
        assert own_account.is_answered(connection, ONE)
        age(connection, ASK_AGAIN_SECONDS + 1)
        assert not own_account.is_answered(connection, ONE)
