"""Serves the offline Stripe over HTTP, on this machine only: its API and its pages.

A development server with a thread for each connection; it never listens on another address.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox.simulate.bringing import PATH as LIVES_PATH
from sandbox.stripe.api.admission import Asked
from sandbox.stripe.api.calls import Endpoint
from sandbox.stripe.api.dispatch import ENDPOINTS, Answered, Dispatch
from sandbox.stripe.forms import flattened
from sandbox.stripe.hosted import hosted_pages
from sandbox.stripe.webhooks import Postmen
from sandbox.stripe.world import World

HOST = "127.0.0.1"
BODY_BYTES_MAX = 1024 * 1024
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# `simulate` brings lives in parts of 8 MB.
LIVES_BYTES_MAX = 64 * 1024 * 1024
_TICK_SECONDS = 1.0
_POLL_SECONDS = 0.05


class _Quiet(WSGIRequestHandler):
    """A handler that does not log every request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def make_app(world: World) -> Flask:
    """The API and the pages of an account as one application."""
    app = Flask("sandbox.stripe", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    answer = _answering(Dispatch(world))
    for api in ("v1", "v2"):
        app.add_url_rule(f"/{api}/<path:path>", endpoint=api, view_func=answer, methods=_METHODS)
    app.add_url_rule(LIVES_PATH, "lives", _take_lives(world), methods=["POST"])
    app.register_blueprint(hosted_pages(world))
    return app


def _take_lives(world: World) -> Callable[[], Response]:
    def take() -> Response:
        """Take a part of some simulated lives: answers by path."""
        request.max_content_length = LIVES_BYTES_MAX
        answers = request.get_json().items()
        taken = world.take_lives((path, orjson.dumps(body)) for path, body in answers)
        return Response(f'{{"taken": {taken}}}', mimetype="application/json")

    return take


@contextmanager
def serve(world: World, *, port: int, webhook_url: str, secret: str) -> Iterator[str]:
    """Serve an account for as long as the block runs; yields the address. Port 0 takes a free one.

    Webhooks are posted to `webhook_url`, signed with `secret`; without an address none are, but to
    endpoints that are made through the API.
    Raises `OSError` where the port cannot be had.
    """
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = make_server(HOST, port, make_app(world), threaded=True, request_handler=_Quiet)
    url = f"http://{HOST}:{server.server_port}"
    world.base_url = url
    world.serve_to(webhook_url, secret)
    stop = threading.Event()
    threads = [
        threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True),
        threading.Thread(target=_tick, args=(world, stop), daemon=True),
    ]
    postmen = Postmen(world)
    for thread in threads:
        thread.start()
    postmen.start()
    try:
        yield url
    finally:
        stop.set()
        world.set_answering(kind="normal")
        postmen.stop()
        _shut(server)
        for thread in threads:
            thread.join(5)


def _shut(server: BaseWSGIServer) -> None:
    server.shutdown()
    server.server_close()


def _tick(world: World, stop: threading.Event) -> None:
    while not stop.wait(_TICK_SECONDS):
        world.tick()


@cache
def _addresses() -> Map:
    """Every call of the API by its address.

    Made once a process and not with each application: that took four fifths of a server's start.
    """
    numbered = enumerate(ENDPOINTS)
    calls = [Rule(one.path, methods=[one.method], endpoint=number) for number, one in numbered]
    return Map(calls, merge_slashes=False)


def _asked_for() -> tuple[Endpoint | None, str]:
    """Which call of the API is asked for, if there is such a one, and of which id."""
    try:
        number, named = _addresses().bind_to_environ(request.environ).match()
    except HTTPException:
        return None, ""
    return ENDPOINTS[number], named.get("id", "")


def _answering(dispatch: Dispatch) -> Callable[[str], Response]:
    def answer(path: str) -> Response:
        del path
        endpoint, record_id = _asked_for()
        return _response(dispatch.answer(endpoint, _asked(record_id)))

    return answer


def _asked(record_id: str) -> Asked:
    fields: list[tuple[str, str]] = []
    for source in (request.args, request.form):
        fields += [(name, value) for name, values in source.lists() for value in values]
    if request.path.startswith("/v2/"):
        fields += flattened(request.get_json(silent=True))
    headers: Mapping[str, str] = {name.lower(): value for name, value in request.headers.items()}
    # The form was parsed above; what is left is no form.
    body = request.get_data() if request.mimetype not in _FORMS else b""
    return Asked(request.method, request.path, record_id, tuple(fields), headers, body)


def _response(answered: Answered) -> Response:
    response = Response(answered.body, status=answered.status, mimetype="application/json")
    for name, value in answered.headers.items():
        response.headers[name] = value
    return response
