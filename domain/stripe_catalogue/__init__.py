"""What must change at Stripe so that it sells the catalogue."""
