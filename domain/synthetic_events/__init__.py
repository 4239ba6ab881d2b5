"""Events of ours: answers of Stripe, and what people say by hand."""

__all__ = ["answers", "by_hand"]
