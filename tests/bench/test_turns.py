"""What is compared takes turns in going first."""

from bench.turns import in_turn


def test_each_of_two_goes_first_in_every_second_round() -> None:
    """The first one pays for what is made once, and may be lent more of the machine."""
    assert [list(in_turn(("ours", "then"), number)) for number in range(3)] == [
        ["ours", "then"],
        ["then", "ours"],
        ["ours", "then"],
    ]


def test_of_more_none_always_comes_after_the_same_other() -> None:
    """The first one in one round is the last in the next."""
    assert list(in_turn([1, 2, 3], 0)) == [1, 2, 3]
    assert list(in_turn([1, 2, 3], 1)) == [3, 2, 1]
