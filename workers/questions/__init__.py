"""Asking Stripe what its events leave open: in tasks of their own, never inside a drain."""
