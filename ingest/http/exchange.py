"""One request that the event loop answers itself: its id, its answer, its line in the log."""

import time
from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import TypeVar

from ingest.http import access_log, problems
from ingest.http.problems import CONTENT_TYPE, Problem
from ingest.http.rsgi import HTTPProtocol, ProtocolClosed, Scope

R = TypeVar("R")

_NOTHING: Mapping[str, str] = MappingProxyType({})
_ID = access_log.HEADER.lower()


class Exchange:
    """A request and its other end; `route` is the rule of its address, for the metrics."""

    def __init__(self, scope: Scope, proto: HTTPProtocol, route: str) -> None:
        self._scope = scope
        self._proto = proto
        self._route = route
        self._began = time.perf_counter()
        self.request_id = access_log.request_id(scope.headers.get("x-request-id") or "")

    async def outcome(self, work: Awaitable[R]) -> R | Problem:
        """What comes of the work: its result, or the problem to answer with.

        Raises `ProtocolClosed` where the client has gone away.
        """
        try:
            return await work
        except ProtocolClosed:
            raise
        except Problem as refused:
            return refused
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told something.
            return problems.of_bug(error)

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        """Send a whole answer."""
        headers = [("content-type", content_type), (_ID, self.request_id)]
        self._proto.response_bytes(status, headers, body)

    def refuse(self, problem: Problem, headers: Mapping[str, str] = _NOTHING) -> None:
        """Answer with a problem, and log it; `headers` are sent besides its own."""
        problem.headers |= {access_log.HEADER: self.request_id, **headers}
        respond(self._proto, problem)
        self.log(problem.status, code=problem.code)

    def log(
        self, status: int, *, added: Mapping[str, str] = _NOTHING, code: str | None = None
    ) -> None:
        """Count the request and write its line; see `access_log.answered`."""
        access_log.answered(
            self._scope.method,
            self._scope.path,
            status,
            time.perf_counter() - self._began,
            route=self._route,
            request_id=self.request_id,
            added=added,
            code=code,
        )


def respond(proto: HTTPProtocol, problem: Problem) -> None:
    """Send a problem."""
    headers = [("content-type", CONTENT_TYPE)]
    headers += [(name.lower(), value) for name, value in problem.headers.items()]
    proto.response_bytes(problem.status, headers, problem.body())
