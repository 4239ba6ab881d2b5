"""What operators and monitors ask: health, metrics, the API's page."""

__all__ = ["api_reader", "health", "metrics"]
