"""Durable stores: PostgreSQL tables and the Redis stream. No HTTP, no Celery, no business rule."""
