"""How a view is declared, guarded, documented and answered."""

__all__ = [
    "access_log",
    "auth",
    "exchange",
    "inputs",
    "openapi",
    "pagination",
    "problem_responses",
    "problems",
    "rate_limit",
    "request_body",
    "routes",
    "rsgi",
    "schemas",
    "wsgi_bridge",
]
