"""What a payment is, what it is worth, and whose it is: facts, claims, valuation, derivation."""
