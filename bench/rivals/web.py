"""Flask handlers as Stripe's documentation shows them: `construct_event`, then a task or the work.

`queued` hands each event to Celery, `direct` does everything before it answers.
"""

from collections.abc import Callable

import orjson
import stripe
from flask import Flask, Response, jsonify, request

import settings
from bench.rivals import tasks, usual

_secret = settings.load(needs=("stripe_webhook_secrets",)).stripe_webhook_secrets[0]


def _make(take: Callable[[bytes], None]) -> Flask:
    app = Flask(__name__)

    @app.post("/billing/stripe/webhook/")
    def webhook() -> tuple[Response, int]:
        body = request.get_data(cache=False)
        try:
            stripe.Webhook.construct_event(body, request.headers["Stripe-Signature"], _secret)
        except (ValueError, KeyError, stripe.SignatureVerificationError):
            return jsonify(error="bad signature"), 400
        take(body)
        return jsonify(received=True), 200

    return app


def _queue(body: bytes) -> None:
    tasks.handle.apply_async((body.decode(),))


def _do(body: bytes) -> None:
    usual.apply(tasks.engine(), orjson.loads(body), body)


queued = _make(_queue)
direct = _make(_do)
