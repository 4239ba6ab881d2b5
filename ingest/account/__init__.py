"""What a user asks of their own: plans, subscriptions, payments, tokens; and debits."""
