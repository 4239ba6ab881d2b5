"""The page at `/demo/`: a shop to try the product with. Development only, like all of this room.

It hands a token to whoever asks for one by name, which no production may do; it uses nothing but
the public API for everything else, as a frontend would.
"""

import ipaddress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Response,
    jsonify,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from flask.blueprints import BlueprintSetupState

from ingest.http.problems import Problem
from sandbox.stripe import hosted
from settings import Settings
from workers.commands.tokens import signed_token

PREFIX = "/demo"
TOKEN_TTL = timedelta(hours=12)
SCOPES = ("tokens:debit",)
USER_LENGTH_MAX = 64
# One look for all pages of development.
SHARED = Path(hosted.__file__).with_name("static")
SHARED_NAMES = frozenset({"look.css", "icon.svg"})


def demo_pages(settings: Settings) -> Blueprint:
    """The page, its token and its files, to be registered at the root of the product's app."""
    pages = Blueprint(
        "demo",
        __name__,
        url_prefix=PREFIX,
        template_folder="templates",
        static_folder="static",
        static_url_path="/assets",
    )

    @pages.get("/")
    def page() -> str:
        offline = settings.stripe_api_base if _is_local(settings.stripe_api_base) else ""
        return render_template("demo/page.html", offline_stripe=offline)

    # What somebody types who knows the port alone; in production the API has nothing there.
    pages.record_once(_lead_from_root)

    @pages.post("/token")
    def token() -> Response:
        _require_own_page()
        return jsonify({"token": _issued(settings, request.get_json(silent=True))})

    @pages.get("/shared/<name>")
    def shared(name: str) -> Response:
        if name not in SHARED_NAMES:
            raise Problem(404, "not_found", "There is nothing at this address.")
        return send_from_directory(SHARED, name)

    pages.after_request(_secured)
    return pages


def _lead_from_root(state: BlueprintSetupState) -> None:
    state.app.add_url_rule("/", "demo.root", lambda: redirect(url_for("demo.page")))


def _issued(settings: Settings, body: object) -> str:
    """A token for the user that a body names; a `Problem` says why there is none."""
    if settings.jwt_jwks_url or not settings.jwt_secret:
        raise Problem(
            409,
            "demo_needs_jwt_secret",
            "This page signs its own tokens: set JWT_SECRET and leave JWT_JWKS_URL unset.",
        )
    user = body.get("user") if isinstance(body, dict) else None
    name = user.strip() if isinstance(user, str) else ""
    if not name or len(name) > USER_LENGTH_MAX or not name.isprintable():
        raise Problem(422, "invalid_input", f"Name a user in 1 to {USER_LENGTH_MAX} letters.")
    return signed_token(settings, name, SCOPES, TOKEN_TTL)


def _require_own_page() -> None:
    """Refuse other sites, which could otherwise act as any user of this development run."""
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.host
    # A foreign name that points at this machine comes with that name.
    if foreign or not _is_address(urlsplit(f"//{request.host}").hostname or ""):
        raise Problem(
            403, "foreign_page", "Open this page at 127.0.0.1, localhost or another IP address."
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return True


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _secured(answer: Response) -> Response:
    answer.headers["Content-Security-Policy"] = hosted.POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "same-origin"
    if answer.mimetype != "text/css":
        answer.headers["Cache-Control"] = "no-store"
    return answer
