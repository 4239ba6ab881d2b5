"""The world that the product is tried on: a Stripe, its customers, a shop. Never in production."""
