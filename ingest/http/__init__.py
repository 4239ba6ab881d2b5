"""How a view is declared, guarded, documented and answered."""

__all__ = [
    "auth",
    "document",
    "inputs",
    "pages",
    "problems",
    "rate_limit",
    "refusals",
    "request_log",
    "routes",
    "shapes",
]
