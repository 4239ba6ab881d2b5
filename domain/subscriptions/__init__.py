"""What Stripe reported of subscriptions, and which report stands."""
