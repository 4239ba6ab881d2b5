"""Selling: a session, its status, the portal, with Stripe in reach and time running."""

__all__ = ["portal", "status", "stripe_errors", "views"]
