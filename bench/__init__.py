"""Measures the product against the usual ways of doing its work; never runs in production.

It starts engines and processes of its own and touches nothing else. Nothing imports this package.
"""
