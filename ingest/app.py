"""Puts the WSGI application together: routes, guards, logs, errors, in the order they act.

Connects to nothing until it is asked something.
"""

from flask import Flask
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from ingest import context
from ingest.account import access, debit, queries
from ingest.checkout import portal, status, stripe_errors, views
from ingest.http import access_log, openapi, problems, rate_limit
from ingest.http.inputs import BODY_BYTES_MAX
from ingest.ops import api_reader, health, metrics
from ingest.stream import views as stream_views
from ingest.webhook import receiver
from settings import Settings

PREFLIGHT_SECONDS = 600
# In the order of the document.
ROUTES = tuple(
    group.routes
    for group in (
        *(receiver, views, status, portal),
        *(queries, access, debit, stream_views),
        *(health, metrics),
    )
)


def create_app(settings: Settings, *, opened: context.ReceiverContext | None = None) -> Flask:
    """The WSGI application on these settings; connects to nothing until it is asked something.

    `opened` replaces the connections that the settings name.
    """
    app = Flask(__name__, static_folder=None)
    # Both /path/ and /path answer, and neither redirects: a redirect loses a webhook's body.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    here = opened or context.open_context(settings)
    context.attach(app.extensions, here)
    access_log.register(app)
    rate_limit.register(app, here.authenticator, ROUTES)
    _register_blueprints(app)
    problems.register(app)
    stripe_errors.register(app)
    _allow_origins(app, settings.cors_origins)
    _trust_proxies(app, settings.trusted_proxies)
    return app


def _register_blueprints(app: Flask) -> None:
    for group in ROUTES:
        app.register_blueprint(group.blueprint)
    openapi.serve(app, ROUTES)
    app.register_blueprint(api_reader.blueprint())


def _allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    if origins:
        CORS(
            app,
            origins=list(origins),
            methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After", access_log.HEADER],
            max_age=PREFLIGHT_SECONDS,
        )


def _trust_proxies(app: Flask, proxies: int) -> None:
    """Believe what this many proxies say of the caller's address, and nobody else."""
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]  # As Flask documents it.
