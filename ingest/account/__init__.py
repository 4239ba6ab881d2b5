"""What a user asks of their own: plans, subscriptions, payments, tokens, access; and debits."""

__all__ = ["access", "debit", "queries"]
