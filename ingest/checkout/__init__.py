"""Selling: a session, its status, the portal, with Stripe in reach and time running."""

__all__ = ["checkout", "portal", "session_status", "stripe_problems"]
