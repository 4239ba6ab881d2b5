"""Ids: what they tell is what Stripe's own do."""

import pytest

from sandbox.simulate import ids
from sandbox.simulate.account import Account

BEGAN = 1_790_000_000


def an_account(run: str = "ids") -> Account:
    """An account in which nothing has happened."""
    return Account(seed=1, run=run, starts_at=BEGAN)


@pytest.mark.parametrize(
    ("moment", "digits"),
    [(1_721_948_530, "Pgafm"), (1_721_948_551, "Pgag7"), (1_721_954_073, "Pgc7B")],
)
def test_a_time_is_told_as_in_stripes_sample_objects(moment: int, digits: str) -> None:
    """`price_1Pgafm…`, `file_1Pgag7…` and `src_1Pgc7B…`, with the times that stand beside them."""
    assert ids.dated(moment) == digits


def test_what_is_made_later_has_the_greater_id() -> None:
    """Over seconds as over years."""
    account = an_account()
    made = []
    for seconds in (0, 1, 60, 40_000_000):
        account.wait(seconds)
        made.append(account.new_id("evt"))
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_of_one_account_name_it() -> None:
    """Customers have no room for that, as at Stripe."""
    account, other = an_account(), an_account("another")
    event, invoice = account.new_id("evt"), account.new_id("in")
    assert (len(event), len(account.new_id("cus", 14))) == (len("evt_") + 24, len("cus_") + 14)
    assert event[10:20] == invoice[9:19] != other.new_id("evt")[10:20]


def test_the_id_of_a_page_tells_nothing() -> None:
    """Whoever could guess one could open the page."""
    first, second = (an_account().new_id("cs_test", 58) for _ in range(2))
    assert first == second  # The same seed and run.
    assert ids.dated(BEGAN) not in first
    assert len(first) == len("cs_test_") + 58
