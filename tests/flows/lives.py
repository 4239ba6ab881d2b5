"""Lives of simulated customers, as events."""

from sandbox.simulate.account import Account
from sandbox.simulate.engine import Event
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.versions import BY_CHOICE

NOW = 1_790_000_000


def events_of_lives(seed: int, run: str, *, customers: int) -> list[Event]:
    """The events of so many customers, in the order in which Stripe makes them."""
    account = Account(seed=seed, run=run, starts_at=NOW)
    play(account, read_file(SAMPLE_PLANS), BY_CHOICE["mixed"], customers=customers, today=NOW)
    return list(account.events)
