"""Declares views: address, what they take, what they answer; for Flask and OpenAPI at once.

The only module that meets flask-smorest's decorators, which have no types.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from flask_smorest import Blueprint
from marshmallow import Schema

View = TypeVar("View", bound=Callable[..., Any])

_BEARER: list[dict[str, list[str]]] = [{"bearer": []}]


class Decorator(Protocol):
    """What declares a view and leaves it as it is."""

    def __call__(self, view: View, /) -> View:
        """Declare the view."""
        ...


class Routes:
    """A group of views; with `guard`, which runs before each of them, they need a token."""

    def __init__(
        self,
        name: str,
        description: str,
        *,
        prefix: str = "",
        guard: Callable[[], None] | None = None,
    ) -> None:
        self.blueprint = Blueprint(name, __name__, url_prefix=prefix, description=description)
        self._security = _BEARER if guard else []
        if guard:
            self.blueprint.before_request(guard)

    def get(
        self, path: str, answer: type[Schema] | None = None, *, query: type[Schema] | None = None
    ) -> Decorator:
        """Answer GET on `path`; the view is passed the checked query, where one is declared."""

        def declare(view: View) -> View:
            wrapped = self._documented(view, answer)
            if query:
                wrapped = self.blueprint.arguments(query, location="query")(wrapped)
            self.blueprint.route(path, methods=["GET"])(wrapped)
            return view

        return declare

    def post(
        self, path: str, answer: type[Schema], *, parameters: list[dict[str, Any]] | None = None
    ) -> Decorator:
        """Answer POST on `path`; the view reads the body itself."""

        def declare(view: View) -> View:
            wrapped = self._documented(view, answer, parameters=parameters or [])
            self.blueprint.route(path, methods=["POST"])(wrapped)
            return view

        return declare

    def _documented(
        self, view: Callable[..., Any], answer: type[Schema] | None, **doc: object
    ) -> Callable[..., Any]:
        documented = self.blueprint.doc(security=self._security, **doc)(view)
        wrapped: Callable[..., Any] = self.blueprint.response(200, answer)(documented)
        return wrapped
