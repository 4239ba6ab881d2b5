"""What is to be asked of Stripe, whose turn it is, and which account is ours."""
