"""Events of ours: answers of Stripe, and what people say by hand."""
