"""The WSGI entry: `wsgi:app`, for granian or any other server. Made once in each process."""

import settings
import telemetry
from ingest.app import create_app
from ingest.context import follow_formats

NEEDS = ("database_url", "redis_url")

settings.ask_loopback_directly()
_settings = settings.load(NEEDS)
telemetry.configure(_settings.log_format, "web", level=_settings.log_level)
telemetry.catch_uncaught()
app = create_app(_settings)
follow_formats(_settings)
