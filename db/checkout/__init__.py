"""What users set out to buy, what they may buy, and what came of it."""
