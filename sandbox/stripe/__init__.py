"""An offline Stripe for development: one account that keeps state and speaks HTTP.

`world.World` is the account, `server` its API, `destinations` where its events go, `webhooks` its
postmen, `hosted` its pages. It takes no real money, listens on this machine only, and no other part
of the product imports it.

What it has it answers as Stripe does, and refuses the rest instead of pretending: no taxes, no
usage, no connected accounts; `docs/sandbox.md` says what. What it draws and takes is held against
the types of the installed SDK, and against clients that nobody here wrote.
"""

__all__ = ["hosted"]
