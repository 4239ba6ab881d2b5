"""`up`: the whole product on one machine, from nothing, until Ctrl-C.

Everything it starts is the real thing; only the secrets are made up. It refuses, in one line, to
share a data directory or a port.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click
import psycopg2
import redis
from sqlalchemy.exc import OperationalError, SQLAlchemyError

import metrics
import settings
from dev.up import environment, fresh, logs
from dev.up.application import Background, Server
from dev.up.banner import WEBHOOK_PATH, banner
from dev.up.console import Console
from dev.up.counts import Watch
from dev.up.engines import PostgresEngine, ValkeyEngine
from dev.up.environment import Addresses
from dev.up.errors import EngineError
from dev.up.files import lock_within
from dev.up.happenings import Feed
from dev.up.messages import first_line
from dev.up.ports import free_port, port_is_free
from dev.up.status import Status
from dev.up.stripe_account import look_for_another, put_plans_on_sale
from dev.up.supervisor import NotReadyError, StoppedEarlyError, Supervisor
from sandbox.simulate.plans import SAMPLE_PLANS

LOCK_NAME = "up.lock"
PROBE_TIMEOUT_SECONDS = 3.0
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
LAST_PORT = 65_535
# The product's own application, with a page to try it on.
DEMO = "sandbox.demo.wsgi:app"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, as asked for."""

    directory: Path
    host: str
    port: int
    workers: int
    given: Mapping[str, str]
    # One live line and warnings, where a person looks; else every line.
    live: bool


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the receiver  [default: 8000]")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--logs", "show_logs", is_flag=True, help="Show all logs, also on a terminal.")
@click.option("--fresh", "begins_anew", is_flag=True, help="Remove all data first, after asking.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask before --fresh removes anything.")
def up(
    port: int | None, workers: int, *, show_logs: bool, begins_anew: bool, is_sure: bool
) -> None:
    """Run PostgreSQL, Redis, the receiver, workers and the scheduler; Ctrl-C stops all."""
    started_at = time.monotonic()
    wanted = settings.load()  # First, for it tells in words which file cannot be read.
    given = environment.given()
    plan = Plan(
        directory=wanted.data_dir.absolute(),
        host=wanted.host if "HOST" in given else DEFAULT_HOST,
        port=port or (wanted.port if "PORT" in given else DEFAULT_PORT),
        workers=workers,
        given=given,
        live=sys.stdout.isatty() and not show_logs,
    )
    try:
        with _locked(plan.directory):
            _require_port(plan)
            if begins_anew:
                fresh.forget(plan.directory, given, keep=LOCK_NAME, is_sure=is_sure)
            _run(plan, started_at)
    except StoppedEarlyError:
        return
    except (EngineError, NotReadyError, OSError) as error:
        raise click.ClickException(str(error)) from error
    except (SQLAlchemyError, psycopg2.Error, redis.RedisError) as error:
        raise click.ClickException(f"an engine failed: {first_line(error)}") from error


def _run(plan: Plan, started_at: float) -> None:
    console = Console(plan.directory / logs.DIRECTORY, live=plan.live)
    supervisor = Supervisor(console)
    shown: list[Watch | Feed] = []
    console.say("up", f"starting in {plan.directory}")
    try:
        addresses = _start_engines(plan, supervisor)
        _prepare_database(addresses.database_url, console)
        environment.write(plan.directory, addresses)
        _start_applications(plan, addresses, supervisor, console)
        if addresses.offline_stripe_url:
            with console.only_warnings():
                put_plans_on_sale(plan.directory, console)
        console.print(banner(plan.directory, addresses, time.monotonic() - started_at))
        look_for_another(plan.directory, console)
        if plan.live:
            shown = _show(addresses, console)
        supervisor.run()
    finally:
        for one in shown:
            one.stop()
        console.end_status()
        was_asked = supervisor.was_asked
        supervisor.stop()
        if was_asked:
            console.print("everything is stopped")
        console.close()


def _show(addresses: Addresses, console: Console) -> list[Watch | Feed]:
    """From now on, keep the live line up to date, and tell of each event above it."""
    watch = Watch(addresses.base_url, lambda counts: console.status(Status(addresses, counts)))
    url = settings.load(environ={"DATABASE_URL": addresses.database_url}).database_url
    feed = Feed(_plain(url), console.print)
    watch.start()
    feed.start()
    return [watch, feed]


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Lock a data directory for this run. Raises `EngineError` where another run has it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # The engines' user passes through; what is private in here is so by its own mode.
        lock = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EngineError(
            f"cannot use {directory} for data: {error.strerror}; choose another --data"
        ) from error
    try:
        if not lock_within(lock, 0):
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            raise EngineError(
                f"{directory} is in use by another `up` (process {holder}); "
                "stop that one or choose another --data"
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(lock)


def _require_port(plan: Plan) -> None:
    if not port_is_free(plan.host, plan.port):
        raise EngineError(
            f"port {plan.port} of {plan.host} is taken (or not ours to take); "
            "stop what listens there or choose another --port"
        )


def _start_engines(plan: Plan, supervisor: Supervisor) -> Addresses:
    """Start what is not named by URL, both at once, and say where everything is."""
    postgres = None if "DATABASE_URL" in plan.given else PostgresEngine(plan.directory)
    valkey = None if "REDIS_URL" in plan.given else ValkeyEngine(plan.directory)
    if not valkey:
        _require_redis(plan.given["REDIS_URL"])
    supervisor.start(*(engine for engine in (postgres, valkey) if engine))
    return Addresses(
        database_url=postgres.url if postgres else plan.given["DATABASE_URL"],
        redis_url=valkey.url if valkey else plan.given["REDIS_URL"],
        host=plan.host,
        port=plan.port,
        offline_stripe_url=_offline_stripe_url(plan),
    )


def _offline_stripe_url(plan: Plan) -> str:
    """Where the offline Stripe is to answer; empty where a real one is named, or none is wanted."""
    if not environment.wants_offline_stripe(plan.given):
        return ""
    return f"http://{DEFAULT_HOST}:{free_port(min(plan.port + 1, LAST_PORT))}"


def _require_redis(url: str) -> None:
    from db.queue.stream import connect  # noqa: PLC0415 - slow to import, and seldom needed.

    try:
        with closing(connect(url, timeout_seconds=PROBE_TIMEOUT_SECONDS)) as client:
            client.ping()
    except ValueError as error:
        raise EngineError(f"REDIS_URL is wrong: {first_line(error)}") from error
    except redis.RedisError as error:
        raise EngineError(f"the server of REDIS_URL does not answer: {error}") from error


def _prepare_database(given_url: str, console: Console) -> None:
    """Migrate; load the sample catalogue if there is no plan yet."""
    from alembic.util import CommandError  # noqa: PLC0415 - slow to import; the engines start meanwhile.

    from db import migrate  # noqa: PLC0415 - as above.
    from workers.commands import catalogue  # noqa: PLC0415 - as above.

    url = settings.load(environ={"DATABASE_URL": given_url}).database_url
    try:
        migrate.upgrade(url)
    except OperationalError as error:
        raise EngineError(
            f"the server of DATABASE_URL does not answer: {first_line(error)}"
        ) from error
    except SQLAlchemyError as error:
        raise EngineError(f"the database cannot be migrated: {first_line(error)}") from error
    except CommandError as error:
        raise EngineError(
            f"the database was made by other code than this ({first_line(error)}); "
            "use that code, or choose another --data or DATABASE_URL"
        ) from error
    if _has_no_plans(url):
        catalogue.load_file(url, SAMPLE_PLANS)
        console.say("up", f"no plans yet: loaded {SAMPLE_PLANS.name}")


def _plain(url: str) -> str:
    """A database's URL as its driver wants it."""
    return url.replace("+psycopg2", "", 1)


def _has_no_plans(url: str) -> bool:
    with closing(psycopg2.connect(_plain(url))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM plans LIMIT 1")
        return cursor.fetchone() is None


def _start_applications(
    plan: Plan, addresses: Addresses, supervisor: Supervisor, console: Console
) -> None:
    counts = plan.directory / "metrics"
    metrics.forget_dead(counts)
    environ = {
        **os.environ,
        # The receiver tells the counts of all of them.
        "PROMETHEUS_MULTIPROC_DIR": str(counts),
        "BILLING_DATA": str(plan.directory),
        "DATABASE_URL": addresses.database_url,
        "REDIS_URL": addresses.redis_url,
        "HOST": addresses.host,
        "PORT": str(addresses.port),
        "LOG_FORMAT": plan.given.get("LOG_FORMAT", "console"),
        "PYTHONUNBUFFERED": "1",
    }
    names = ["worker"] if plan.workers == 1 else [f"worker {n + 1}" for n in range(plan.workers)]
    supervisor.start(
        Server(
            "receiver", ["web", "--app", DEMO], environ, console, f"{addresses.base_url}/readyz"
        ),
        *_offline_stripe(addresses, environ, console),
        *(Background(name, ["worker"], environ, console, plan.directory) for name in names),
        Background("beat", ["beat"], environ, console, plan.directory),
    )


def _offline_stripe(
    addresses: Addresses, environ: Mapping[str, str], console: Console
) -> list[Server]:
    url = addresses.offline_stripe_url
    if not url:
        return []
    words = ["offline_stripe", "--port", str(urlsplit(url).port)]
    words += ["--webhook-url", addresses.base_url + WEBHOOK_PATH]
    return [Server("stripe", words, environ, console, url)]
