"""How a view is declared, guarded, documented and answered."""

__all__ = [
    "access_log",
    "auth",
    "inputs",
    "openapi",
    "pagination",
    "problems",
    "rate_limit",
    "refusals",
    "routes",
    "shapes",
]
