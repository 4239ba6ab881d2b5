"""The WSGI entry of development: the product's own app, and the page at `/demo/` to try it on."""

from dataclasses import replace

import settings
import telemetry
from ingest.app import create_app
from sandbox.demo import demo_pages

NEEDS = ("database_url", "redis_url")

_settings = settings.load(NEEDS)
telemetry.configure(_settings.log_format, "web", level=_settings.log_level)
telemetry.catch_uncaught()
# The page is opened under either name, and buyers come back to where they left.
_own = tuple(f"http://{name}:{_settings.port}" for name in ("127.0.0.1", "localhost"))
_settings = replace(
    _settings, allowed_redirect_origins=(*_settings.allowed_redirect_origins, *_own)
)
app = create_app(_settings)
app.register_blueprint(demo_pages(_settings))
