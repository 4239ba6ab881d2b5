"""The usual forms of a webhook receiver, written for comparison; nothing here is ever deployed.

They are kept as simple as people keep them, and given every event the product is given. They do
less: no order of events, no locks between customers, no repair.
"""
