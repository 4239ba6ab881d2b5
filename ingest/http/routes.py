"""Declares views: address, what they take, what they answer; for Flask and OpenAPI at once.

The only module that meets flask-smorest's decorators, which have no types. What an operation may
refuse is declared with it; what all of its kind may refuse is added here.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Protocol, TypeVar

from flask_smorest import Blueprint
from marshmallow import Schema

from ingest.http import inputs, refusals
from ingest.http.auth import current_caller
from ingest.http.refusals import Refusal
from ingest.http.shapes import AnswerSchema, BodySchema

AnyView = Callable[..., Any]
View = TypeVar("View", bound=AnyView)
# A part of the OpenAPI document, as OpenAPI has it.
Document = dict[str, Any]

SUCCEEDS: Mapping[int, str] = {200: "The answer."}


class Decorator(Protocol):
    """What declares a view and leaves it as it is."""

    def __call__(self, view: View, /) -> View:
        """Declare the view."""
        ...


class Routes:
    """A group of views; with `guard`, which runs before each of them, they need a token.

    A view's docstring is its documentation: the first line the summary, the rest the description.
    """

    def __init__(
        self,
        name: str,
        description: str,
        *,
        prefix: str = "",
        guard: Callable[[], None] | None = None,
        limited: bool = True,
    ) -> None:
        """`limited` says whether those who call too often are told to slow down."""
        self.blueprint = Blueprint(name, __name__, url_prefix=prefix, description=description)
        self._security: list[Document] = [{"bearer": []}] if guard else []
        self._refuses = (
            *(refusals.of_caller() if guard else ()),
            *(refusals.of_everyone() if limited else ()),
        )
        if guard:
            self.blueprint.before_request(guard)

    def get(
        self,
        path: str,
        operation: str,
        answer: type[AnswerSchema] | None = None,
        *,
        query: type[Schema] | None = None,
        statuses: Mapping[int, str] = SUCCEEDS,
        parameters: Sequence[Document] = (),
        refuses: Sequence[Refusal] = (),
        **doc: Any,  # noqa: ANN401 - as OpenAPI has it.
    ) -> Decorator:
        """Answer GET on `path`; the view is passed the checked query, where one is declared.

        `operation` is the operationId, which never changes. `statuses` are those of a good answer,
        each with its meaning, the usual one first. `parameters` are OpenAPI's, for what stands in
        the path or in headers. `doc` is merged into OpenAPI's operation last.
        """

        def declare(view: View) -> View:
            taken = [{"in": "query", "schema": query}] if query else []
            document = {
                "operationId": operation,
                "parameters": [*taken, *parameters],
                "security": self._security,
                "responses": self._refused(refuses, refusals.of_query(query()) if query else ()),
            }
            wrapped = self._answering(_reading(view, query, inputs.query), answer, statuses)
            self._route("GET", path, wrapped, document, doc)
            return view

        return declare

    def post(
        self,
        path: str,
        operation: str,
        answer: type[AnswerSchema],
        *,
        body: type[BodySchema] | None = None,
        scope: str = "",
        statuses: Mapping[int, str] = SUCCEEDS,
        parameters: Sequence[Document] = (),
        refuses: Sequence[Refusal] = (),
        **doc: Any,  # noqa: ANN401 - as OpenAPI has it.
    ) -> Decorator:
        """Answer POST on `path`; the view is passed the checked body, where one is declared.

        `scope` is what the token must carry. A view returns `(answer, status)` where the status
        is not the first of `statuses`. The rest is as for GET.
        """

        def declare(view: View) -> View:
            taken = (*refusals.of_scope(scope), *(refusals.of_body() if body else ()))
            document = {
                "operationId": operation,
                "parameters": [*parameters],
                "security": [{"bearer": [scope]}] if scope else self._security,
                "responses": self._refused(refuses, taken),
                **({"requestBody": _request_body(body)} if body else {}),
            }
            read = _requiring(scope, _reading(view, body, inputs.body))
            wrapped = self._answering(read, answer, statuses)
            self._route("POST", path, wrapped, document, doc)
            return view

        return declare

    def _refused(self, own: Sequence[Refusal], taken: Sequence[Refusal]) -> dict[int, Document]:
        return refusals.documented((*own, *taken, *self._refuses))

    def _answering(
        self, view: AnyView, answer: type[AnswerSchema] | None, statuses: Mapping[int, str]
    ) -> AnyView:
        """The view with its answer checked and turned into JSON, and documented."""
        example = {"example": answer.example} if answer else {}
        (usual, meaning), *others = statuses.items()
        wrapped: AnyView = self.blueprint.response(usual, answer, description=meaning, **example)(
            view
        )
        for status, other in others:
            documented = self.blueprint.alt_response(
                status, schema=answer, description=other, success=True, **example
            )
            wrapped = documented(wrapped)
        return wrapped

    def _route(
        self, method: str, path: str, view: AnyView, document: Document, more: Document
    ) -> None:
        documented = self.blueprint.doc(**more)(self.blueprint.doc(**document)(view))
        self.blueprint.route(path, methods=[method])(documented)


def _reading(
    view: AnyView, schema: type[Schema] | None, read: Callable[[Schema], dict[str, Any]]
) -> AnyView:
    """The view, passed what `read` finds of the schema."""
    if schema is None:
        return view
    wanted = schema()

    @wraps(view)
    def reading(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as the view has them.
        return view(read(wanted), *given, **named)

    return reading


def _requiring(scope: str, view: AnyView) -> AnyView:
    """The view, closed to who lacks the scope before anything of the request is read."""
    if not scope:
        return view

    @wraps(view)
    def requiring(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as the view has them.
        current_caller().require(scope)
        return view(*given, **named)

    return requiring


def _request_body(body: type[BodySchema]) -> Document:
    return {
        "required": any(field.required for field in body().fields.values()),
        "content": {"application/json": {"schema": body, "example": body.example}},
    }
