"""The simulated Stripe account: one object that sells, bills, refunds and remembers.

`Account(seed=…, run=…, starts_at=…)` has the clock (`now`, `wait`, `until`), the buyers
(`customer`), everything they can do (`buy_package`, `subscribe`, `renew`, `refund`, `dispute`, …),
the events it caused (`events`) and what every user must have because of it (`expected`). It does
no I/O, so it can feed a stream of events as well as a stand-in for Stripe's API.
"""

from sandbox.simulate.changes import Changes
from sandbox.simulate.credit_notes import CreditNotes
from sandbox.simulate.debits import Debits


class Account(Changes, Debits, CreditNotes):
    """Everything the account can do; see the modules of its parents for each kind of sale."""
