"""What anyone may ask: the public configuration, whether this process lives and is ready.

No answer here holds a secret or anything about users.
"""

from collections.abc import Callable
from typing import Any

import redis
from flask import Response, jsonify
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from db.connections import copies
from db.connections.copies import CopiesMissingError
from ingest.context import ReceiverContext, current_context
from ingest.http.routes import Routes
from ingest.ops.schemas import AliveSchema, ConfigSchema, ReadySchema

Check = dict[str, Any]

routes = Routes("public", "What anyone may ask.")


@routes.get("/billing/config/", "getConfig", ConfigSchema)
def config() -> dict[str, Any]:
    """Tell a frontend what it needs to start.

    Nothing of this is secret, so no token is needed.
    """
    settings = current_context().settings
    return {
        "publishable_key": settings.stripe_publishable_key,
        "currency": settings.stripe_currency,
        "test_mode": settings.stripe_test_mode,
        "enabled": settings.stripe_enabled,
    }


@routes.get("/healthz", "checkAlive", AliveSchema)
def alive() -> dict[str, str]:
    """Answer, which is all that is asked.

    Asks nothing of anything else: restart the process when this fails.
    """
    return {"status": "ok"}


@routes.get(
    "/readyz",
    "checkReady",
    ReadySchema,
    statuses={200: "Events can be stored.", 503: "No durable store takes events."},
)
def ready() -> Response:
    """Tell what works.

    200 while events can be stored durably, else 503. One durable store is enough, so a process
    that can still save events keeps receiving them: without the database the status is `degraded`
    and the read endpoints answer 503 themselves.
    """
    context = current_context()
    checks = {
        "database": _database(context),
        "redis": _redis(context),
        "stripe": _stripe(context),
        "authentication": _authentication(context),
    }
    stream = _stream(context) if checks["redis"]["ok"] else checks["redis"]
    checks["stream"] = stream
    stores = checks["database"]["ok"] or stream["ok"]
    needed = all(check["ok"] for name, check in checks.items() if name != "stream")
    status = "ready" if needed else "degraded"
    answer = jsonify({"status": status if stores else "not_ready", "dependencies": checks})
    answer.status_code = 200 if stores else 503
    return answer


def _database(context: ReceiverContext) -> Check:
    try:
        with context.engine.connect() as connection:
            connection.execute(text("SELECT 1 FROM webhook_events LIMIT 1"))
            copies.require(connection, context.settings.database_copies)
    except ProgrammingError:
        return _no("the tables are missing: run the migrations")
    except CopiesMissingError as error:
        return _no(f"PostgreSQL takes no event without its copies: {error}")
    except SQLAlchemyError:
        return _no("PostgreSQL does not answer: check DATABASE_URL and the server")
    return _yes("PostgreSQL answers")


def _redis(context: ReceiverContext) -> Check:
    def ping() -> Check:
        context.redis.ping()
        return _yes("Redis answers")

    return _asking_redis(ping)


def _stream(context: ReceiverContext) -> Check:
    """Whether the stream takes events first; the inbox does otherwise, which is no fault."""

    def verdict() -> Check:
        durability = context.durability.verdict()
        return {"ok": durability.durable, "why": durability.why}

    return _asking_redis(verdict)


def _asking_redis(question: Callable[[], Check]) -> Check:
    try:
        return question()
    except (redis.RedisError, OSError):
        return _no("Redis does not answer: check REDIS_URL and the server")


def _stripe(context: ReceiverContext) -> Check:
    if not context.settings.stripe_enabled:
        return _no("Stripe is not enabled: set STRIPE_ENABLED=True")
    if not context.settings.stripe_webhook_secrets:
        return _no("no webhook secret: set STRIPE_WEBHOOK_SECRET")
    return _yes("webhooks can be checked")


def _authentication(context: ReceiverContext) -> Check:
    if not context.authenticator.configured:
        return _no("no key to check tokens with: set JWT_SECRET or JWT_JWKS_URL")
    return _yes("tokens can be checked")


def _yes(why: str) -> Check:
    return {"ok": True, "why": why}


def _no(why: str) -> Check:
    return {"ok": False, "why": why}
