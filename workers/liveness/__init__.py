"""Signs of life: who holds an entry and lives, and what is done when something stands still."""

__all__ = ["celery_watchdog", "consumer_id", "liveness_file", "redis_outage"]
