"""What operators and monitors ask: health, metrics, the API's page."""

__all__ = ["health", "metrics", "swagger_ui"]
