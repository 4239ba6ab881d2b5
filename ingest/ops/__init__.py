"""What operators and monitors ask: health, metrics, the API's page."""
