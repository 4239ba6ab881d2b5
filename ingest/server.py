"""The command that serves the receiver: granian with one worker process, an event loop.

More cores are used by more of these processes behind a proxy, not by more workers in one.
"""

import ctypes
import gc
import importlib
import os
import resource
import signal
import socket
import sys
from functools import partial
from typing import Any

import click
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

import settings
import telemetry

BACKLOG = 1024
# Connections at the same time, idle ones too; each may need a file descriptor.
CONNECTIONS_MAX = 8192
FILES_BESIDE = 256
# A client that dawdles over its headers, or idles on a kept connection, is cut off after this.
HEADER_TIMEOUT_MS = 15_000
# All header lines of a request together; more is answered 431, before this product is asked.
HEADERS_BYTES_MAX = 32 * 1024
# What a stopping worker has to finish its requests; Stripe sends again what was cut off.
STOP_TIMEOUT_SECONDS = 5

NEEDS = ("database_url", "redis_url")

_PR_SET_PDEATHSIG = 1

# granian writes through its own handlers unless told to leave that to the root logger.
_LOGGERS = {
    name: {"handlers": [], "level": "WARNING", "propagate": True}
    for name in ("_granian", "granian.access")
}
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": _LOGGERS,
}


@click.command()
@click.option("--app", default="wsgi:app", hidden=True, help="The Flask application, module:name.")
def web(app: str) -> None:
    """Run the receiver and the API."""
    try:
        configured = settings.load(NEEDS)
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from error
    _require_free(configured.host, configured.port)
    _allow_connections()
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
        interface=Interfaces.RSGI,
        workers=1,
        backlog=BACKLOG,
        backpressure=CONNECTIONS_MAX,
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


def _load(parent_pid: int, place: str) -> Any:  # noqa: ANN401 - granian takes whatever has its methods.
    """Runs in the worker process: tie its life to the parent's, then make the app."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:
            # The parent died before it could be watched.
            sys.exit(1)
    # Connections are made after the fork, in this process. What only it needs is imported in it:
    # the process that watches it would hold 55 MB more.
    module_name, name = place.split(":")
    app = getattr(importlib.import_module(module_name), name)
    served = importlib.import_module("ingest.event_loop").of_app(app)
    # What is there now stays. To look through it for garbage took 127 ms, in which nobody was
    # answered (docs/7-performance.md).
    gc.collect()
    gc.freeze()
    return served


def _allow_connections() -> None:
    """Allow as many open files as connections and engines need, where the machine lets us."""
    wanted = CONNECTIONS_MAX + FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


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
