"""What operators run, with the stores and Stripe in hand."""
