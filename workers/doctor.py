"""Looks at everything an installation stands on; each finding is one line with its cure."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

import db.events
from db import backlog, durability, health, stream
from db.engine import make_engine
from db.heartbeat import Heartbeat
from db.second_plans import second_plans
from domain.decode import DECODERS
from settings import Settings
from stripe_gateway import StripeUnavailable, open_gateway

# Above this age something that waits is not just busy.
LAG_SECONDS_MAX = 60
HEARTBEAT_SECONDS_MAX = 30
LOCKS_PER_TRANSACTION_MIN = 256
# A line names so many; `check_subscription_status` names all.
_NAMED_MAX = 5


class Level(StrEnum):
    """How bad a finding is; only `fail` makes the command exit 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was found, and what to do about it."""

    subject: str
    level: Level
    says: str
    cure: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, one after the other; nothing is changed."""
    yield from _keys(settings)
    engine = make_engine(settings.database_url, pool_size=1, application_name="fiko-doctor")
    client = stream.connect(settings.redis_url, timeout_seconds=2.0)
    try:
        yield from _answered("database", lambda: _database(engine))
        yield from _answered("redis", lambda: _redis(client, settings))
        yield from _answered("subscriptions", lambda: _subscriptions(engine))
        yield from _answered("queue", lambda: _queue(engine, client))
        yield from _answered("scheduler", lambda: _scheduler(client))
        yield from _answered("stripe", lambda: _stripe(settings))
    finally:
        engine.dispose()
        client.close()


def _answered(subject: str, look: Callable[[], Sequence[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except (SQLAlchemyError, redis.RedisError, OSError) as error:
        says = f"does not answer ({type(error).__name__})"
        yield Finding(subject, Level.FAIL, says, "start it, or check its URL in the settings")
    except StripeUnavailable as error:
        yield Finding(subject, Level.WARN, str(error), "check STRIPE_SECRET_KEY and the network")


def _keys(settings: Settings) -> Iterator[Finding]:
    mode = "test" if settings.stripe_test_mode else "live"
    if not settings.stripe_enabled:
        yield Finding("keys", Level.WARN, "Stripe is disabled", "set STRIPE_ENABLED=True")
    elif not settings.stripe_webhook_secrets:
        cure = "set STRIPE_WEBHOOK_SECRET to the endpoint's whsec_… secret"
        yield Finding("keys", Level.FAIL, "no webhook secret: every event is refused", cure)
    elif not settings.stripe_secret_key:
        cure = "set STRIPE_SECRET_KEY to ask Stripe and to reconcile"
        yield Finding("keys", Level.WARN, f"{mode} mode, no secret key", cure)
    else:
        number = len(settings.stripe_webhook_secrets)
        yield Finding("keys", Level.OK, f"{mode} mode, {number} webhook secret(s)")
    if not (settings.jwt_secret or settings.jwt_jwks_url):
        cure = "set JWT_SECRET or JWT_JWKS_URL"
        yield Finding("tokens", Level.FAIL, "nobody's token can be checked", cure)


def _database(engine: Engine) -> list[Finding]:
    with engine.connect() as connection:
        found = health.ask(connection)
    findings = [Finding("database", Level.OK, f"PostgreSQL {found.server}")]
    if found.revision != found.newest_revision:
        says = f"schema at {found.revision or 'nothing'}, newest is {found.newest_revision}"
        findings.append(Finding("schema", Level.FAIL, says, "run the migrations (`migrate`)"))
    if "off" in (found.synchronous_commit, found.fsync):
        cure = "set synchronous_commit and fsync to on"
        findings.append(Finding("database", Level.FAIL, "commits may be lost in a crash", cure))
    if found.locks_per_transaction < LOCKS_PER_TRANSACTION_MIN:
        says = f"max_locks_per_transaction is {found.locks_per_transaction}"
        cure = f"set it to {LOCKS_PER_TRANSACTION_MIN} or more"
        findings.append(Finding("database", Level.WARN, says, cure))
    level = Level.OK if found.plans else Level.WARN
    findings.append(Finding("catalogue", level, f"{found.plans} active plans", "run load_plans"))
    return findings


def _redis(client: redis.Redis, settings: Settings) -> list[Finding]:
    verdict = durability.ask(client)
    if verdict.durable:
        return [Finding("redis", Level.OK, verdict.why)]
    level = Level.FAIL if settings.intake == "stream" else Level.WARN
    cure = "set appendonly yes, appendfsync always, maxmemory-policy noeviction"
    return [Finding("redis", level, f"{verdict.why}; events go to the inbox first", cure)]


def _subscriptions(engine: Engine) -> list[Finding]:
    with engine.connect() as connection:
        found = second_plans(connection)
    if not found:
        return []
    told = [f"{each.user_id} ({', '.join(each.subscription_ids)})" for each in found[:_NAMED_MAX]]
    more = f" and {len(found) - _NAMED_MAX} more" if len(found) > _NAMED_MAX else ""
    cure = "cancel one of them at Stripe, refund what was paid twice"
    says = f"{len(found)} user(s) pay for two full plans: {'; '.join(told)}{more}"
    return [Finding("subscriptions", Level.WARN, says, cure)]


def _queue(engine: Engine, client: redis.Redis) -> list[Finding]:
    with engine.connect() as connection:
        inbox, unlinked = backlog.in_inbox(connection), db.events.unlinked(connection)
    waiting = backlog.in_stream(client)
    ages = [
        time.time() - begun
        for begun in (
            inbox.oldest_seconds if inbox.received else None,
            waiting.oldest_ms / 1000 if waiting.oldest_ms else None,
        )
        if begun is not None
    ]
    oldest = max(ages, default=0.0)
    says = f"{waiting.depth} in the stream, {inbox.received} in the inbox, oldest {oldest:.0f} s"
    level = Level.FAIL if oldest > LAG_SECONDS_MAX else Level.OK
    findings = [Finding("queue", level, says, "start a worker, or more of them")]
    if inbox.dead:
        cure = "see `events --status dead`; mend the cause, then `replay --failed`"
        findings.append(Finding("events", Level.FAIL, f"{inbox.dead} dead", cure))
    if inbox.failed:
        cure = "see `events --status failed`"
        findings.append(Finding("events", Level.WARN, f"{inbox.failed} failed so far", cure))
    if unlinked:
        says = f"{unlinked} paid payments lack a user or a plan"
        cure = "see `events`; name the user in metadata.user_id, load the missing plan"
        findings.append(Finding("payments", Level.WARN, says, cure))
    return findings


def _scheduler(client: redis.Redis) -> list[Finding]:
    last = Heartbeat(client).last()
    if last is None:
        return [Finding("scheduler", Level.FAIL, "has never swept", "start `beat` and a worker")]
    age = time.time() - last
    level = Level.OK if age <= HEARTBEAT_SECONDS_MAX else Level.FAIL
    return [Finding("scheduler", level, f"swept {age:.0f} s ago", "start `beat` and a worker")]


def _stripe(settings: Settings) -> list[Finding]:
    gateway = open_gateway(settings)
    if gateway is None:
        return []
    endpoints = gateway.webhook_endpoints()
    if not endpoints:
        cure = "create one at Stripe for /billing/stripe/webhook/, or use `stripe listen`"
        return [Finding("webhook", Level.WARN, "Stripe has no endpoint of this account", cure)]
    findings = []
    for endpoint in endpoints:
        missing = _not_enabled(endpoint.get("enabled_events", []))
        version = endpoint.get("api_version") or "the account's default API version"
        says = f"{endpoint.get('url')} at {version}, {endpoint.get('status')}"
        if missing:
            says += f", lacks {', '.join(missing)}"
        is_well = endpoint.get("status") == "enabled" and not missing
        cure = "enable the endpoint and every event of docs/events.md"
        level = Level.OK if is_well else Level.WARN
        findings.append(Finding("webhook", level, says, cure))
    return findings


def _not_enabled(enabled: Sequence[str]) -> list[str]:
    return [] if "*" in enabled else sorted(DECODERS.keys() - set(enabled))
