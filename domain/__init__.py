"""The pure core: what Stripe's events mean. Standard library only; no clock, no I/O."""
