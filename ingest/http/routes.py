"""Declares views for Flask and OpenAPI at once: addresses, inputs, answers, problems.

The problems that an operation may answer with are declared with it; those of all of its kind are
added here.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, TypeVar

from flask import Blueprint, Response, g, jsonify
from marshmallow import Schema

from ingest.http import inputs, problem_responses
from ingest.http.auth import current_caller
from ingest.http.problems import ProblemType
from ingest.http.schemas import AnswerSchema, BodySchema

AnyView = Callable[..., Any]
View = TypeVar("View", bound=AnyView)
# A part of the OpenAPI document, as OpenAPI has it.
Document = dict[str, Any]

SUCCEEDS: Mapping[int, str] = {200: "The answer."}

_IN_PATH = re.compile(r"<(\w+)>")
_TEXT = {"required": True, "schema": {"type": "string", "minLength": 1}}


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
        count_refusal: Callable[[str], None] | None = None,
    ) -> None:
        """`limited` says whether requests count towards the rate limit.

        `count_refusal` is called with the code of every problem that a view answers.
        """
        self.blueprint = Blueprint(name, __name__, url_prefix=prefix)
        self.tag = {"name": name, "description": description}
        # What apispec's `path` takes, for each view.
        self.paths: list[Document] = []
        self.limited = limited
        self._prefix = prefix
        self._security: list[Document] = [{"bearer": []}] if guard else []
        self._problems = (
            *(problem_responses.of_caller() if guard else ()),
            *(problem_responses.of_everyone() if limited else ()),
        )
        if guard:
            self.blueprint.before_request(guard)
        if count_refusal:
            self.blueprint.after_request(partial(_count, count_refusal))

    def get(
        self,
        path: str,
        operation: str,
        answer: type[AnswerSchema] | Document,
        *,
        query: type[Schema] | None = None,
        statuses: Mapping[int, str] = SUCCEEDS,
        parameters: Sequence[Document] = (),
        problems: Sequence[ProblemType] = (),
    ) -> Callable[[View], View]:
        """Answer GET on `path`; the view is passed the checked query, where one is declared.

        `operation` is the operationId, which never changes. `answer` is OpenAPI's content where it
        is no JSON. `statuses` are the successful ones, each with its meaning, the usual one first.
        `parameters` are OpenAPI's, for what is read elsewhere.
        """

        def declare(view: View) -> View:
            general = problem_responses.of_query(query)
            read = partial(inputs.query, query()) if query else None
            self._route(
                "GET",
                path,
                _handling(view, answer, statuses, read),
                answer,
                statuses=statuses,
                problems=(*problems, *general),
                operationId=operation,
                parameters=[*([{"in": "query", "schema": query}] if query else []), *parameters],
                security=self._security,
            )
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
        problems: Sequence[ProblemType] = (),
        **doc: Any,  # noqa: ANN401 - as OpenAPI has it.
    ) -> Callable[[View], View]:
        """Answer POST on `path`; the view is passed the checked body, where one is declared.

        `scope` is what the token must carry. A view returns `(answer, status)` where the status
        is not the first of `statuses`. `doc` goes into its operation as it is. The rest is as for
        GET.
        """

        def declare(view: View) -> View:
            general = problem_responses.of_scope(scope) + problem_responses.of_body(body)
            read = partial(inputs.body, body()) if body else None
            self._route(
                "POST",
                path,
                _handling(view, answer, statuses, read, scope),
                answer,
                statuses=statuses,
                problems=(*problems, *general),
                operationId=operation,
                parameters=[*parameters],
                security=[{"bearer": [scope]}] if scope else self._security,
                **({"requestBody": _request_body(body)} if body else {}),
                **doc,
            )
            return view

        return declare

    def _route(
        self,
        method: str,
        path: str,
        view: AnyView,
        answer: type[AnswerSchema] | Document,
        *,
        statuses: Mapping[int, str],
        problems: Sequence[ProblemType],
        **doc: Any,  # noqa: ANN401 - as OpenAPI has it.
    ) -> None:
        summary, _, description = (inspect.getdoc(view) or "").partition("\n\n")
        content = answer if isinstance(answer, dict) else _json(answer)
        answers = {
            status: {"description": meaning, "content": content}
            for status, meaning in statuses.items()
        }
        operation = {
            "responses": answers | problem_responses.documented((*problems, *self._problems)),
            "summary": summary,
            "description": description,
            "tags": [self.tag["name"]],
            **doc,
        }
        in_path = [{"in": "path", "name": name, **_TEXT} for name in _IN_PATH.findall(path)]
        address = self._prefix + _IN_PATH.sub(r"{\1}", path)
        operations = {method.lower(): operation}
        self.paths.append({"path": address, "operations": operations, "parameters": in_path})
        self.blueprint.add_url_rule(path, view_func=view, methods=[method])


def _count(count_refusal: Callable[[str], None], response: Response) -> Response:
    if "problem_code" in g:
        count_refusal(g.problem_code)
    return response


def _handling(
    view: AnyView,
    answer: type[AnswerSchema] | Document,
    statuses: Mapping[int, str],
    read: Callable[[], Document] | None,
    scope: str = "",
) -> AnyView:
    """The view, passed what `read` reads; its result becomes JSON, unless it is a response.

    It refuses a token without the scope before it reads anything of the request.
    """
    schema = None if isinstance(answer, dict) else answer()
    usual = next(iter(statuses))

    @wraps(view)
    def handling(**named: Any) -> Any:  # noqa: ANN401 - as the view has them.
        if scope:
            current_caller().require(scope)
        result = view(read(), **named) if read else view(**named)
        if schema is None or isinstance(result, Response):
            return result
        content, status = result if isinstance(result, tuple) else (result, usual)
        response = jsonify(schema.dump(content))
        response.status_code = status
        return response

    return handling


def _request_body(body: type[BodySchema]) -> Document:
    required = any(field.required for field in body().fields.values())
    return {"required": required, "content": _json(body)}


def _json(schema: type[AnswerSchema | BodySchema]) -> Document:
    return {"application/json": {"schema": schema, "example": schema.example}}
