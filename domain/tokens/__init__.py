"""What the ledger must say: entries for payments, corrections by hand."""
