"""Builds the Celery app: the tasks that wake a worker, and the schedule of the periodic tasks.

No Celery message carries an event, so a lost message costs seconds. No task is sent with a
countdown, because Redis would deliver it again and again.

`celery_config:app` is the app of the worker and the scheduler.
"""

import os
import ssl
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

# billiard reads this once, when it is first imported: SIGTERM then stops a worker within the
# soft shutdown below instead of waiting for whatever it is doing.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

from celery import Celery, signals
from redis.backoff import NoBackoff
from redis.retry import Retry

import metrics
import settings as product
import telemetry

QUEUE = "billing"
# Of another name than the classic queue that releases before 0.3 declared: a queue keeps its type.
QUORUM_QUEUE = "billing-quorum"
DRAIN = "workers.tasks.drain"
SWEEP = "workers.tasks.sweep"
SWEEP_SECONDS = 2.0
ASK = "workers.tasks.ask"
FETCH = "workers.tasks.fetch"
ASK_SECONDS = 2.0
# It has no stream entry in hand; it begins no question after 6 s, and one takes up to 12 s.
ASK_SOFT_TIME_LIMIT_SECONDS = 25
ASK_TIME_LIMIT_SECONDS = 30

ACCOUNT = "workers.tasks.account"
# Once the account is known, the task is one query.
ACCOUNT_SECONDS = 60.0

ACCESS = "workers.tasks.access"
ACCESS_SECONDS = 2.0
PRUNE = "workers.tasks.prune"
# What is deleted is days old.
PRUNE_SECONDS = 600.0

RECONCILE = "workers.tasks.reconcile"
# It has no stream entry in hand and may wait for Stripe, for less than the visibility timeout.
RECONCILE_SOFT_TIME_LIMIT_SECONDS = 35
RECONCILE_TIME_LIMIT_SECONDS = 40

# Under the stream's lease of 18 s (`db.queue.stream.LEASE_MS`), so a task is over before another
# worker takes its entries.
SOFT_TIME_LIMIT_SECONDS = 10
TIME_LIMIT_SECONDS = 15
SOFT_SHUTDOWN_SECONDS = 5
# A sweep that no worker fetched for this long expires: the next one does the same work.
SWEEP_EXPIRES_SECONDS = 60
# The lock of a scheduler that was killed ends after this long.
BEAT_LOCK_SECONDS = 10

# A RabbitMQ that says nothing for twice as long is left for the next of the list.
HEARTBEAT_SECONDS = 2.0
_RABBITMQ = "amqp"
_REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")
_WORKER_SOCKETS = {"socket_timeout": 3, "socket_connect_timeout": 2}
# Whoever sends a wake-up has a request to answer, and the sweep to fall back on.
_PUBLISHER_SOCKETS = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}


def make_app(settings: product.Settings, *, publisher: bool = False) -> Celery:
    """A Celery app on these settings; `publisher` gives up on a stuck broker within a second."""
    app = Celery("billing", include=["workers.tasks"], set_as_current=not publisher)
    app.conf.update(
        **_task_options(),
        **_worker_options(),
        **_broker_options(settings.celery_broker_url, publisher=publisher),
        **_queue_options(settings),
        **_beat_options(settings),
    )
    return app


def is_rabbitmq(broker_url: str) -> bool:
    """Whether this broker, or list of brokers, speaks AMQP."""
    return broker_url.startswith(_RABBITMQ)


def queue_of(settings: product.Settings) -> str:
    """The queue that all tasks go through."""
    is_quorum = is_rabbitmq(settings.celery_broker_url) and settings.celery_queue_type == "quorum"
    return QUORUM_QUEUE if is_quorum else QUEUE


def _queue_options(settings: product.Settings) -> dict[str, Any]:
    """The queue, and on RabbitMQ its type and a consumer for it."""
    # Each of several brokers is tried once, at once.
    others = settings.celery_broker_url.count(";")
    at_once = {"interval_start": 0, "interval_step": 0, "interval_max": 0}
    options: dict[str, Any] = {
        "task_default_queue": queue_of(settings),
        "task_publish_retry_policy": {"max_retries": others, **at_once},
    }
    if is_rabbitmq(settings.celery_broker_url):
        options |= {
            "task_default_queue_type": settings.celery_queue_type,
            "broker_heartbeat": HEARTBEAT_SECONDS,
            "worker_consumer": "workers.rabbitmq:Consumer",
        }
    return options


def _task_options() -> dict[str, Any]:
    return {
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_soft_time_limit": SOFT_TIME_LIMIT_SECONDS,
        "task_time_limit": TIME_LIMIT_SECONDS,
    }


def _worker_options() -> dict[str, Any]:
    return {
        # One process may wait for Stripe, if it has the turn; the other goes on applying events.
        "worker_concurrency": 2,
        # With late acknowledgement no message lies behind a task that is under way.
        "worker_prefetch_multiplier": 1,
        "worker_soft_shutdown_timeout": SOFT_SHUTDOWN_SECONDS,
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,
        # telemetry.py owns the logs.
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
    }


def _broker_options(broker_url: str, *, publisher: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "broker_url": _kombu_url(broker_url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": 0.5 if publisher else 2,
    }
    sockets = _PUBLISHER_SOCKETS if publisher else _WORKER_SOCKETS
    scheme, query = broker_url.partition("://")[0], broker_url.partition("?")[2]
    if scheme in _REDIS_SCHEMES:
        options["broker_transport_options"] = {
            "visibility_timeout": 60,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_keepalive": True,
            "health_check_interval": 3,
            **sockets,
        }
    if is_rabbitmq(broker_url):
        # Without these a RabbitMQ that hangs holds up whoever asks it, without bound.
        seconds = sockets["socket_timeout"]
        options["broker_transport_options"] = {"read_timeout": seconds, "write_timeout": seconds}
    if product.is_sentinel(broker_url):
        named = product.parse_sentinels(broker_url)
        options["broker_transport_options"] |= {
            "master_name": named.name,
            "sentinel_kwargs": _sentinel_options(named, sockets),
        }
    if scheme == "rediss" and "ssl_cert_reqs" not in query:
        options["broker_use_ssl"] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return options


def _beat_options(settings: product.Settings) -> dict[str, Any]:
    every = {
        "sweep": (SWEEP, SWEEP_SECONDS),
        "ask": (ASK, ASK_SECONDS),
        "fetch": (FETCH, ASK_SECONDS),
        "account": (ACCOUNT, ACCOUNT_SECONDS),
        "prune": (PRUNE, PRUNE_SECONDS),
        "access": (ACCESS, ACCESS_SECONDS),
        "reconcile": (RECONCILE, float(settings.reconcile_every_seconds)),
    }
    return {
        "beat_scheduler": "redbeat.RedBeatScheduler",
        "beat_max_loop_interval": SWEEP_SECONDS,
        "beat_schedule": {
            name: {
                "task": task,
                "schedule": seconds,
                "options": {"expires": SWEEP_EXPIRES_SECONDS},
            }
            for name, (task, seconds) in every.items()
        },
        "redbeat_key_prefix": "billing:beat:",
        "redbeat_lock_timeout": BEAT_LOCK_SECONDS,
        **_redbeat_redis(settings.redis_url),
    }


def _redbeat_redis(redis_url: str) -> dict[str, Any]:
    # After this long without Redis beat gives up, and its supervisor starts it again.
    options: dict[str, Any] = {"retry_period": 10, **_WORKER_SOCKETS}
    if not product.is_sentinel(redis_url):
        return {"redbeat_redis_url": redis_url, "redbeat_redis_options": options}
    named = product.parse_sentinels(redis_url)
    options |= {
        "sentinels": list(named.hosts),
        "service_name": named.name,
        "db": named.database,
        "username": named.username,
        "password": named.password,
        "sentinel_kwargs": _sentinel_options(named, _WORKER_SOCKETS),
    }
    # redbeat looks at no more of it than the scheme.
    return {"redbeat_redis_url": "redis-sentinel://", "redbeat_redis_options": options}


def _sentinel_options(named: product.Sentinels, sockets: Mapping[str, Any]) -> dict[str, Any]:
    """How a Sentinel is asked: once each. One that is gone would else be tried ten times."""
    login = {"username": named.sentinel_username, "password": named.sentinel_password}
    return {**sockets, **login, "retry": Retry(NoBackoff(), 0)}


def _kombu_url(broker_url: str) -> str:
    """The broker's URL as kombu spells it: a Unix socket and Sentinels have names of their own."""
    if product.is_sentinel(broker_url):
        return _kombu_sentinels(product.parse_sentinels(broker_url))
    url = urlsplit(broker_url)
    if url.scheme != "unix":
        return broker_url
    database = parse_qs(url.query).get("db", ["0"])[0]
    return f"redis+socket://{url.netloc}{url.path}?virtual_host={database}"


def _kombu_sentinels(named: product.Sentinels) -> str:
    """One URL for each Sentinel, and all with the login: kombu goes from one to the next."""
    username, password = (quote(word or "", safe="") for word in (named.username, named.password))
    login = f"{username}:{password}@" if password else ""
    return ";".join(
        f"sentinel://{login}{f'[{host}]' if ':' in host else host}:{port}/{named.database}"
        for host, port in named.hosts
    )


def configure_logging(**_options: object) -> None:
    """Take Celery's place in setting up logs, which it leaves alone when someone answers this."""
    settings = product.load()
    process = "beat" if "beat" in sys.argv else "worker"
    telemetry.configure(settings.log_format, process, level=settings.log_level)


def serve_metrics(**_sender: object) -> None:
    """Answer Prometheus from the main process of a worker or of beat, where a port is set."""
    settings = product.load()
    if not settings.metrics_port:
        return
    try:
        metrics.serve(settings.host, settings.metrics_port)
    except OSError as error:
        # A worker without metrics is better than none.
        log = telemetry.get_logger("metrics")
        # It is one line for a person, so no traceback.
        log.error("metrics port not opened", port=settings.metrics_port, reason=error.strerror)  # noqa: TRY400 - as said.


def count_sent(sender: str = "unknown", **_message: object) -> None:
    """Count a task that was handed to the broker; its name is the signal's sender."""
    metrics.task_sent(sender)


def __getattr__(name: str) -> Celery:
    """`app`, made when it is first asked for: importing this module must not read settings.

    Whoever imports it may yet want to report what is wrong with them.
    """
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()["app"] = make_app(product.load())
    return made


signals.setup_logging.connect(configure_logging, weak=False)
signals.after_task_publish.connect(count_sent, weak=False)
signals.worker_ready.connect(serve_metrics, weak=False)
signals.beat_init.connect(serve_metrics, weak=False)
