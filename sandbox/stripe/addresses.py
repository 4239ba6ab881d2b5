"""Where receipts and invoices are seen: on pages of this machine, not of Stripe's.

Records are drawn without knowing who serves them, so what leaves the account is rewritten.
"""

_PAGES = (
    (b"https://invoice.stripe.com/i/acct_simulated/", b"/i/acct_simulated/"),
    (b"https://pay.stripe.com/receipts/", b"/receipts/"),
)


def at_home(body: bytes, base_url: str) -> bytes:
    """An answer or an event with addresses that lead to the sandbox's own pages."""
    for elsewhere, path in _PAGES:
        body = body.replace(elsewhere, base_url.encode() + path)
    return body
