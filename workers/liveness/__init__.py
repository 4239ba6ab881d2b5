"""Liveness: which processes have ended, and what is done when nothing moves."""

__all__ = ["announcing", "celery_watchdog", "consumer_id", "liveness_file", "standstill"]
