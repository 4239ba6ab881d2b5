"""The pages of the offline Stripe: checkout, authentication, portal, and a dashboard of its own.

They show what the account holds and ask it to act; they decide nothing about money. They work
without JavaScript, load nothing from elsewhere, and are never part of production.
"""

from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import Conflict, HTTPException

from sandbox.stripe.hosted import wording
from sandbox.stripe.hosted.checkout import CheckoutPages
from sandbox.stripe.hosted.dashboard import DashboardPages
from sandbox.stripe.hosted.loopback import require_own_page
from sandbox.stripe.hosted.portal import PortalPages
from sandbox.stripe.hosted.records import RecordPages
from sandbox.stripe.world import World

# Where a form's answer leads is the shop's to say, so no `form-action` is set: browsers apply it
# to the redirect after the form as well.
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


def hosted_pages(world: World) -> Blueprint:
    """The pages on this account, to be registered at the root of an app."""
    pages = Blueprint(
        "hosted",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/assets",
    )
    pages.before_request(lambda: require_own_page(request))
    pages.after_request(_secured)
    pages.register_error_handler(HTTPException, _refused)
    # What the account refuses has changed since the page was drawn.
    pages.register_error_handler(LookupError, _stale)
    pages.register_error_handler(ValueError, _stale)
    for word in wording.FILTERS:
        pages.add_app_template_filter(word)
    CheckoutPages(world).register(pages)
    PortalPages(world).register(pages)
    DashboardPages(world).register(pages)
    RecordPages(world).register(pages)
    return pages


def _refused(error: HTTPException) -> tuple[str, int]:
    page = render_template(
        "hosted/over.html", title=error.name, text=error.description, link="/", link_text="Start"
    )
    return page, error.code or 500


def _stale(_: Exception) -> tuple[str, int]:
    return _refused(Conflict("This can no longer be done: look at how things are now."))


def _secured(answer: Response) -> Response:
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    # The address of a session or a portal visit is what opens it, so no other site learns it.
    # (`no-referrer` would take the origin away from our own forms as well.)
    answer.headers["Referrer-Policy"] = "same-origin"
    if answer.mimetype == "text/html":
        answer.headers["Cache-Control"] = "no-store"
    return answer
