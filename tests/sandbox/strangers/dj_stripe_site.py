"""A Django project with nothing but dj-stripe: syncs every model from a Stripe, and counts.

Runs in an environment of its own, which has dj-stripe and no package of ours. It prints JSON: how
many rows of each model there are, the sums of some columns, and what the sync complained about.
"""

# Django and dj-stripe need not be in the environment that is checked, and have no types.
# mypy: disable-error-code="import-not-found, import-untyped"

import importlib
import io
import json
import os
import sys
from typing import Any

import django
import stripe
from django.conf import settings
from django.core.management import call_command

settings.configure(
    DEBUG=False,
    SECRET_KEY="strangers",
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "djstripe"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    # Its migrations take a minute; the tables that they end in take a second.
    MIGRATION_MODULES={"djstripe": None},
    STRIPE_TEST_SECRET_KEY="sk_test_" + 24 * "0",
    STRIPE_LIVE_MODE=False,
    DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
)
stripe.api_base = os.environ["STRIPE_API_BASE"]
# What its client of the newer API starts from.
importlib.import_module("stripe._stripe_client").DEFAULT_API_BASE = stripe.api_base  # type: ignore[attr-defined]
stripe.enable_telemetry = False
stripe.max_network_retries = 0
django.setup()

from django.apps import apps  # noqa: E402 - after `setup`.
from djstripe.models.base import StripeBaseModel  # noqa: E402


def models() -> dict[str, Any]:
    """dj-stripe's models that mirror something of Stripe's."""
    every = apps.get_app_config("djstripe").get_models()
    return {one.__name__: one for one in every if issubclass(one, StripeBaseModel)}


def main() -> None:
    """Sync, and say what came of it."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    said, complaints = io.StringIO(), io.StringIO()
    call_command("djstripe_sync_models", stdout=said, stderr=complaints, no_color=True)
    rows = {name: list(model.objects.values()) for name, model in models().items()}
    told = {"complaints": complaints.getvalue().splitlines(), "rows": rows}
    json.dump(told, sys.stdout, default=str)


if __name__ == "__main__":
    main()
