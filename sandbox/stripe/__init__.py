"""An offline Stripe for development: one account that keeps state and speaks HTTP.

`world.World` is the account, `server` its API, `destinations` where its events go, `webhooks` its
postmen, `hosted` its pages. It takes no real money, listens on this machine only, and no other part
of the product imports it.

It knows what this product uses of Stripe, and refuses the rest instead of pretending: one line a
session, one item a subscription, plan changes that are billed at once, no coupons, no taxes, no
connected accounts. What it draws and takes is held against the types of the installed SDK.
"""

__all__ = ["hosted"]
