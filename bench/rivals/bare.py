"""A Flask route that reads the body and answers: what a server costs before anything is done."""

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.post("/billing/stripe/webhook/")
def webhook() -> Response:
    """Read, answer."""
    request.get_data(cache=False)
    return jsonify(received=True)
