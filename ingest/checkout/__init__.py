"""Selling: a session, its status, the portal, with Stripe in reach and time running."""
