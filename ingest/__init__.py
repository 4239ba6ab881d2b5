"""The receiver and its API: takes Stripe's events in, opens checkouts, shows users what is theirs.

It applies nothing itself: it stores, wakes a worker, asks and reads. It never imports the workers.
"""
