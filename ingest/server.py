"""The command that serves the receiver: granian with one worker process of several threads.

More cores are used by more of these processes behind a proxy, not by more workers in one.
"""

import ctypes
import importlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import click
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

import settings
import telemetry

# Four are as fast; the others are for requests that wait, for Stripe to answer above all
# (`ingest.checkout.deadline` bounds how many), so that a Stripe that hangs does not keep its
# webhooks out.
THREADS = 16
BACKLOG = 1024
# A client that dawdles over its headers, or idles on a kept connection, is cut off after this.
HEADER_TIMEOUT_MS = 15_000
# All header lines of a request together; more is answered 431, before this product is asked.
HEADERS_BYTES_MAX = 32 * 1024
# What a stopping worker has to finish its requests; Stripe sends again what was cut off.
STOP_TIMEOUT_SECONDS = 5

NEEDS = ("database_url", "redis_url")

_PR_SET_PDEATHSIG = 1
# granian says that THREADS are many for the cores; their number was chosen for what they wait for.
_THREADS_WARNING = "Configuration allows spawning up to"


class ThreadsAreMeant(logging.Filter):
    """Drops granian's warning about the number of threads."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is another one."""
        return not record.getMessage().startswith(_THREADS_WARNING)


# granian writes through its own handlers unless told to leave that to the root logger.
_LOGGERS = {
    name: {"handlers": [], "level": "WARNING", "propagate": True, "filters": ["threads"]}
    for name in ("_granian", "granian.access")
}
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    # By name, for where granian's worker is a fresh process and this is pickled for it.
    "filters": {"threads": {"()": f"{__name__}.{ThreadsAreMeant.__name__}"}},
    "loggers": _LOGGERS,
}


@click.command()
@click.option("--app", default="wsgi:app", hidden=True, help="The WSGI application, module:name.")
def web(app: str) -> None:
    """Run the receiver and the API."""
    try:
        configured = settings.load(NEEDS)
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from error
    _require_free(configured.host, configured.port)
    server = _server(configured, app)
    telemetry.configure(configured.log_format, "web", level=configured.log_level)
    telemetry.catch_uncaught()
    telemetry.get_logger("ingest.server").info(
        "serving", host=configured.host, port=configured.port
    )
    server.serve(target_loader=partial(_load, os.getpid(), app), wrap_loader=False)


def _server(configured: settings.Settings, app: str) -> Any:  # noqa: ANN401 - granian picks its class at run time.
    return Granian(
        app,
        address=configured.host,
        port=configured.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=THREADS,
        backlog=BACKLOG,
        # Counts connections, idle ones too; requests wait their turn for a thread.
        backpressure=BACKLOG,
        # Whoever wants HTTP/2 speaks it to the proxy.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=HEADERS_BYTES_MAX
        ),
        websockets=False,
        log_access=False,
        log_dictconfig=_LOGGING,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_TIMEOUT_SECONDS,
    )


def _load(parent_pid: int, place: str) -> Callable[..., Any]:
    """Runs in the worker process: tie its life to the parent's, then make the app."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:
            # The parent died before it could be watched.
            sys.exit(1)
    # Connections are made after the fork, in this process.
    module_name, name = place.split(":")
    app: Callable[..., Any] = getattr(importlib.import_module(module_name), name)
    return app


def _require_free(host: str, port: int) -> None:
    """Say so when the port is taken: granian would share it with whoever listens there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on {host}:{port}: {error.strerror}."
            " Set PORT (or HOST) to another, or stop what listens there."
        ) from error
