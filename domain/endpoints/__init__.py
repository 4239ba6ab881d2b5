"""Webhook endpoints at Stripe: what ours must be, how they drift, what a version would change."""

__all__ = ["comparison", "endpoint", "moves", "shadow"]
