"""The receiver and its API: takes Stripe's events in, sells, and shows users what became of it.

It applies nothing itself: it stores, wakes a worker, asks and reads. It never imports the workers.
"""
