"""The part of Stripe's API that this product uses: a module for each group of resources."""
