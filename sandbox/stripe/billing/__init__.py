"""Billing over the API: contracts signed and changed without a page, invoices and their items."""
