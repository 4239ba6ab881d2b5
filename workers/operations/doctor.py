"""Checks everything that an installation needs; each finding says in one line how to mend it."""

import time
from collections.abc import Callable, Iterator, Sequence

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from db.checkout.second_plans import second_plans
from db.endpoints import own
from db.engine import make_engine
from db.operations import loose_ends
from db.outbox import destinations
from db.questions import notices, questions, stripe_turn
from db.queue import backlog, inbox_reads, stream
from db.queue.heartbeat import Heartbeat
from domain.endpoints.endpoint import Style
from settings import Settings
from stripe_gateway import StripeKeyRefused, StripeUnavailable, open_gateway
from workers.endpoints import checking
from workers.endpoints.checking import Checked
from workers.operations import (
    account_checks,
    database_checks,
    key_checks,
    redis_checks,
    release_checks,
)
from workers.operations.findings import Finding, Level

# Above this age something that waits is not just busy.
LAG_SECONDS_MAX = 60
HEARTBEAT_SECONDS_MAX = 30
# Most questions are answered within a minute.
QUESTION_SECONDS_MAX = 3_600
# Thin events are asked about within seconds, unless Stripe or the budget says otherwise.
NOTICE_SECONDS_MAX = 300
# A line names so many; `check_subscription_status` names all.
_NAMED_MAX = 5


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, one after the other; nothing is changed."""
    yield from _keys(settings)
    engine = make_engine(settings, pool_size=1, application_name="fiko-doctor", guarded=False)
    client = stream.connect(settings.redis_url, timeout_seconds=2.0)
    try:
        yield from _answered("database", lambda: database_checks.look(engine, settings))
        yield from _answered("redis", lambda: redis_checks.look(client, settings))
        yield from _answered("redis", lambda: redis_checks.history(engine, settings))
        yield from _answered("subscriptions", lambda: _subscriptions(engine))
        yield from _answered("queue", lambda: _queue(engine, client))
        yield from _answered("releases", lambda: release_checks.look(engine, client, settings))
        yield from _answered("loose ends", lambda: _loose_ends(engine))
        yield from _answered("questions", lambda: _questions(engine, settings))
        yield from _answered("thin events", lambda: _notices(engine, settings))
        yield from _answered("destinations", lambda: destinations_of(engine))
        yield from _answered("foreign events", lambda: _foreign_events(engine))
        yield from _answered("scheduler", lambda: _scheduler(client))
        yield from _answered("account", lambda: _account(settings))
        yield from _answered("customers", lambda: _customers(engine, settings))
        yield from _answered("stripe", lambda: _stripe(settings, engine))
        yield from _answered("key", lambda: _key(settings, engine))
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
        yield Finding(subject, Level.WARN, str(error), _cure_of(error))


def _cure_of(error: StripeUnavailable) -> str:
    """What to look at; the key only where Stripe itself has refused it."""
    if isinstance(error, StripeKeyRefused):
        return "check STRIPE_SECRET_KEY and what that key may do"
    if error.by_proxy:
        return "check HTTPS_PROXY and NO_PROXY of the environment; the key was not tried"
    if error.status is None:
        return "check the network (and STRIPE_API_BASE, where it is set); the key was not tried"
    return "run it again; Stripe answers, but not this"


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


def _subscriptions(engine: Engine) -> list[Finding]:
    with engine.connect() as connection:
        doubles = second_plans(connection)
    if not doubles:
        return []
    examples = [
        f"{double.user_id} ({', '.join(double.subscription_ids)})"
        for double in doubles[:_NAMED_MAX]
    ]
    more = f" and {len(doubles) - _NAMED_MAX} more" if len(doubles) > _NAMED_MAX else ""
    cure = "cancel one of them at Stripe, refund what was paid twice"
    says = f"{len(doubles)} user(s) pay for two full plans: {'; '.join(examples)}{more}"
    return [Finding("subscriptions", Level.WARN, says, cure)]


def _queue(engine: Engine, client: redis.Redis) -> list[Finding]:
    with engine.connect() as connection:
        inbox = backlog.in_inbox(connection)
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
    return findings


# What to do about each kind of loose end, where anything can be done.
_CURES = {
    "no_user": "name the user in metadata.user_id, or `assign --payment ID --user U`",
    "no_plan": "load the missing plan, list the price in prices_without_tokens, or `assign`",
    "contested_customer": "see `explain --user U` of the users concerned",
}


def _loose_ends(engine: Engine) -> list[Finding]:
    with engine.connect() as connection:
        counts = loose_ends.counts(connection)
    return [
        Finding(
            "loose ends",
            Level.WARN,
            f"{number} {loose_ends.WORDS[kind]}",
            _CURES.get(kind, "see `events show ID`; Stripe is asked where a key is configured"),
        )
        for kind, number in counts.items()
        if number
    ]


def _questions(engine: Engine, settings: Settings) -> list[Finding]:
    """What is to be asked of Stripe, and how it answers."""
    with engine.connect() as connection:
        asked, trouble = questions.waiting(connection), stripe_turn.trouble(connection)
    can_ask = settings.stripe_enabled and bool(settings.stripe_secret_key)
    says = f"{asked.waiting} wait to be asked of Stripe"
    if asked.oldest_seconds is not None:
        says += f", the oldest without any answer for {asked.oldest_seconds:.0f} s"
    late = asked.oldest_seconds is not None and asked.oldest_seconds > QUESTION_SECONDS_MAX
    cure = "" if can_ask else "set STRIPE_SECRET_KEY: nobody can be asked without it"
    if late and can_ask:
        cure = "see `events show` of an event of theirs; without a worker and `beat` nobody asks"
    level = Level.WARN if late or (asked.waiting and not can_ask) else Level.OK
    findings = [Finding("questions", level, says, cure)]
    if asked.given_up:
        says = f"{asked.given_up} given up, the first is {asked.example}"
        cure = "mend the cause, then `replay` an event of each: it is asked anew"
        findings.append(Finding("questions", Level.WARN, says, cure))
    if trouble:
        says = f"Stripe has not answered for {trouble.since_seconds:.0f} s"
        says += f" ({trouble.failures} times in a row)"
        cure = "check STRIPE_SECRET_KEY and the network; it is tried again by itself"
        findings.append(Finding("questions", Level.WARN, says, cure))
    return findings


def _notices(engine: Engine, settings: Settings) -> list[Finding]:
    """What thin events speak of and Stripe has not told yet."""
    with engine.connect() as connection:
        waiting = notices.waiting(connection)
    if not waiting.notices:
        return []
    says = f"{waiting.notices} wait for Stripe to tell of {waiting.objects} objects"
    says += f", the oldest for {waiting.oldest_seconds:.0f} s"
    if not (settings.stripe_enabled and settings.stripe_secret_key):
        cure = "set STRIPE_SECRET_KEY: without it nobody can be asked"
        return [Finding("thin events", Level.FAIL, says, cure)]
    late = (waiting.oldest_seconds or 0.0) > NOTICE_SECONDS_MAX
    cure = "see `events show` of one; without a worker and `beat` nobody asks" if late else ""
    return [Finding("thin events", Level.WARN if late else Level.OK, says, cure)]


def destinations_of(engine: Engine) -> list[Finding]:
    """Who hears of changes, and who does not although they are to."""
    with engine.connect() as connection:
        findings = []
        for destination in destinations.everyone(connection):
            waiting = destinations.waiting(connection, destination.id)
            says = f"{destination.id}: {waiting} user(s) wait to be told"
            level, cure = Level.OK, ""
            if destination.paused_why:
                level, says = Level.WARN, f"{says}; paused: {destination.paused_why}"
                cure = f"mend it, then `destinations resume {destination.id}`"
            elif destination.failing_seconds > LAG_SECONDS_MAX:
                level = Level.WARN
                says += f"; failing for {destination.failing_seconds:.0f} s: "
                says += destination.last_error or ""
                cure = f"try it with `destinations test {destination.id}`; it is tried by itself"
            findings.append(Finding("destinations", level, says, cure))
    return findings


def _foreign_events(engine: Engine) -> list[Finding]:
    with engine.connect() as connection:
        number = inbox_reads.foreign_events(connection)
    if not number:
        return []
    says = f"{number} events of another account or of the other mode in a day, all left alone"
    cure = "see `events --status ignored`; check STRIPE_TEST_MODE, the key and the endpoints"
    return [Finding("events", Level.WARN, says, cure)]


def _scheduler(client: redis.Redis) -> list[Finding]:
    last = Heartbeat(client).last()
    if last is None:
        return [Finding("scheduler", Level.FAIL, "has never run", "start `beat` and a worker")]
    age = time.time() - last
    level = Level.OK if age <= HEARTBEAT_SECONDS_MAX else Level.FAIL
    return [Finding("scheduler", level, f"last run {age:.0f} s ago", "start `beat` and a worker")]


def _account(settings: Settings) -> list[Finding]:
    gateway, setting = open_gateway(settings), settings.stripe_account
    if gateway is None:
        return [Finding("account", Level.OK, f"{setting}, by STRIPE_ACCOUNT")] if setting else []
    try:
        account_id = gateway.account().get("id")
    except StripeUnavailable as error:
        says = f"whose the key is cannot be told: {error.detail}"
        if setting:
            return [Finding("account", Level.OK, f"{setting}, by STRIPE_ACCOUNT; {says}")]
        says += "; every event that names an account is left alone"
        return [Finding("account", Level.WARN, says, "set STRIPE_ACCOUNT to your acct_… id")]
    if setting and setting != account_id:
        says = f"the key is of {account_id}, and STRIPE_ACCOUNT names {setting}"
        return [Finding("account", Level.WARN, says, "unset STRIPE_ACCOUNT, or change the key")]
    return [Finding("account", Level.OK, f"{account_id}, by the key")]


def _customers(engine: Engine, settings: Settings) -> list[Finding]:
    gateway = open_gateway(settings)
    return account_checks.known_customers(engine, gateway) if gateway else []


def _stripe(settings: Settings, engine: Engine) -> list[Finding]:
    gateway = open_gateway(settings)
    if gateway is None:
        return []
    look = checking.look(engine, gateway)
    findings = [_endpoint(each) for each in look.checked]
    for says, cure in checking.of_secrets(engine, settings.stripe_webhook_secrets):
        findings.append(Finding("webhook", Level.WARN, says, cure))
    if look.missing:
        cure = "`webhook_endpoint create https://<your host>`, or use `stripe listen`"
        findings.insert(0, Finding("webhook", Level.WARN, look.missing, cure))
    return findings


def _key(settings: Settings, engine: Engine) -> list[Finding]:
    with engine.connect() as connection:
        noted = own.noted(connection)
    return key_checks.look(settings, is_thin=noted is not None and noted.style == Style.THIN)


def _endpoint(checked: Checked) -> Finding:
    """An endpoint as `webhook_endpoint check` sees it; what does no harm is no warning."""
    endpoint = checked.endpoint
    version = endpoint.version or "the account's default API version"
    version = "thin" if endpoint.style is Style.THIN else version
    says = f"{endpoint.url} at {version}, {'enabled' if endpoint.is_enabled else 'disabled'}"
    says = "; ".join([says, *filter(None, [checked.note])])
    says = ", ".join([says, *(each.says.removeprefix("it ") for each in checked.drift)])
    grave = [each for each in checked.drift if each.is_grave]
    return Finding(
        "webhook", Level.WARN if grave else Level.OK, says, grave[0].cure if grave else ""
    )
