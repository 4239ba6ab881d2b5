"""What a user asks of their own: plans, subscriptions, payments, tokens; and debits."""

__all__ = ["debit", "queries"]
