"""Liveness: which processes have ended, and what is done when Celery or Redis stands still."""

__all__ = ["announcing", "celery_watchdog", "consumer_id", "liveness_file", "redis_outage"]
