"""Paying over the API, where no page of ours is: methods, payment intents, setup intents."""
