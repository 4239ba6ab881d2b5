"""What is to be asked of Stripe, whose turn it is, and which account is ours."""

__all__ = ["notices", "own_account", "questions", "stripe_turn"]
