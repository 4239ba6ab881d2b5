"""The HTTP edge: takes Stripe's events in and shows users what became of them.

It applies nothing itself: it stores, rings, and reads. It never imports the workers.
"""

from flask import Flask
from flask_cors import CORS
from flask_smorest import Api
from werkzeug.middleware.proxy_fix import ProxyFix

from ingest import edge, exposition, problems, public, rate_limit, reads, request_log, webhook
from ingest.schemas import ProblemSchema
from settings import Settings

# Of everything but webhooks, which have their own limit.
BODY_BYTES_MAX = 64 * 1024
PREFLIGHT_SECONDS = 600


class _Api(Api):  # type: ignore[misc] # flask-smorest has no types.
    ERROR_SCHEMA = ProblemSchema


def create_app(settings: Settings, *, opened: edge.Edge | None = None) -> Flask:
    """The WSGI application on these settings; connects to nothing until it is asked something.

    `opened` replaces the connections that the settings name.
    """
    app = Flask(__name__, static_folder=None)
    # Both /path/ and /path answer, and neither redirects: a redirect loses a webhook's body.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.config.update(_configuration())
    here = opened or edge.open_edge(settings)
    edge.attach(app.extensions, here)
    request_log.register(app)
    rate_limit.register(app, here.authenticator)
    _register_blueprints(app)
    problems.register(app)
    _allow_origins(app, settings.cors_origins)
    _trust_proxies(app, settings.trusted_proxies)
    return app


def _configuration() -> dict[str, object]:
    return {
        "MAX_CONTENT_LENGTH": BODY_BYTES_MAX,
        "API_TITLE": "Fiko Billing",
        "API_VERSION": "1",
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/",
        "API_SPEC_OPTIONS": {
            "components": {
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
                }
            }
        },
    }


def _register_blueprints(app: Flask) -> None:
    api = _Api(app)
    for routes in (webhook.routes, reads.routes, public.routes, exposition.routes):
        api.register_blueprint(routes.blueprint)


def _allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    if origins:
        CORS(
            app,
            origins=list(origins),
            methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After", request_log.HEADER],
            max_age=PREFLIGHT_SECONDS,
        )


def _trust_proxies(app: Flask, proxies: int) -> None:
    """Believe what this many proxies say of the caller's address, and nobody else."""
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]  # As Flask documents it.
