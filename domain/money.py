"""Amounts of money as people write them."""

# How Stripe counts these in minor units; every other currency has a hundred of them in one.
# The króna and the Ugandan shilling have none by law, but Stripe writes them with two.
_WITHOUT_MINOR_UNITS = frozenset(
    {
        *("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv"),
        *("xaf", "xof", "xpf"),
    }
)
_WITH_THOUSANDTHS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})


def money(amount_minor: int, currency: str | None) -> str:
    """An amount as people write it: `29.00 usd`, `4,400 jpy`, `1.250 kwd`."""
    digits = 0 if currency in _WITHOUT_MINOR_UNITS else 3 if currency in _WITH_THOUSANDTHS else 2
    whole, rest = divmod(abs(amount_minor), 10**digits)
    point = f".{rest:0{digits}d}" if digits else ""
    return f"{'-' * (amount_minor < 0)}{whole:,}{point} {currency or ''}".rstrip()
