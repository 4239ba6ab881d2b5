"""Renders errors without the values in them: the only renderer of exceptions, for every process.

A message may quote a row, a parameter or a body of a user, or a key. So a message is shown only
where it is known to hold none: of our own errors, of servers that do not answer, and the part of
PostgreSQL's messages that names tables and no values. Lines of code are always shown.

No library is imported here: an error is recognised by the module that its class comes from.
"""

import re
import traceback
from collections.abc import Callable, Mapping
from typing import Any

HIDDEN = "[hidden]"

# Messages of errors of these modules are our own; they name places and no values.
_OURS = frozenset(
    {"bench", "db", "dev", "domain", "ingest", "settings", "stripe_gateway", "workers"}
)
# These speak of tasks, processes and servers.
_HARMLESS = frozenset({"amqp", "billiard", "celery", "click"})
# The interpreter's own, whose messages name types and attributes.
_PLAIN = (
    ArithmeticError,
    AttributeError,
    ImportError,
    MemoryError,
    NameError,
    NotImplementedError,
    RecursionError,
    SystemExit,
    TypeError,
)
# Classes of SQLSTATE whose messages name tables and constraints, or no more than what happened.
_SAFE_STATES = ("08", "23", "25", "40", "53", "55", "57", "58")
# In other classes, what follows one of these characters is a quotation.
_QUOTED = re.compile(r"[\"':(].*", re.DOTALL)
_REDIS_CODE = re.compile(r"[A-Z]{2,}\b")

_TRACE = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s+File "[^"]*", line \d+')
_ERROR = re.compile(r"[\w.]+(?=:|$)")
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"


def in_one_line(error: BaseException) -> str:
    """An error in one line: its class, and the part of its message that holds no value.

    `[hidden]` stands for a part that must not be shown.
    """
    shown = _of_driver(error) or error
    said = _said(shown)
    return f"{type(shown).__name__}: {said}" if said else type(shown).__name__


def with_trace(error: BaseException) -> str:
    """An error with its traceback and the errors that led to it, oldest first."""
    parts = []
    for each, link in reversed(_chain(error)):
        frames = "".join(traceback.format_tb(each.__traceback__))
        parts.append(f"{_TRACE}\n{frames}{in_one_line(each)}")
        if link:
            parts.append(link)
    return "\n\n".join(parts)


def without_error(text: str, error: BaseException) -> str:
    """A text of a library, with each quoted error rendered as here."""
    for each, _ in _chain(error):
        for quoted in (repr(each), str(each)):
            # Short ones are words, or nothing.
            if quoted in text and quoted != in_one_line(each) and len(quoted) > 3:  # noqa: PLR2004
                text = text.replace(quoted, in_one_line(each))
    return text


def without_traces(text: str) -> str:
    """A text of a library, with only the classes and lines of code of its tracebacks."""
    before, found, trace = text.partition(_TRACE)
    if not found:
        return text
    kept, is_code, is_open = [before + _TRACE], False, True
    for line in trace.splitlines()[1:]:
        is_frame = bool(_FRAME.match(line))
        if is_frame or line in (_CAUSE, _CONTEXT) or line.endswith(_TRACE):
            kept.append(line)
            is_code, is_open = is_frame, True
        elif is_code and line.startswith("    "):
            kept.append(line)
        elif is_open and (name := _ERROR.match(line)):
            kept.append(name.group() + (f": {HIDDEN}" if name.end() < len(line) else ""))
            is_code = is_open = False
    return "\n".join(kept)


def _chain(error: BaseException) -> list[tuple[BaseException, str]]:
    """An error and what led to it, newest first, each with how it led to the one before."""
    chain: list[tuple[BaseException, str]] = []
    link, each = "", error
    while id(each) not in {id(known) for known, _ in chain}:
        chain.append((each, link))
        if each.__cause__ is not None:
            link, each = _CAUSE, each.__cause__
        elif each.__context__ is not None and not each.__suppress_context__:
            link, each = _CONTEXT, each.__context__
    return chain


def _of_driver(error: BaseException) -> BaseException | None:
    """The driver's own error where SQLAlchemy has wrapped one."""
    found = getattr(error, "orig", None) if _root(error) == "sqlalchemy" else None
    return found if isinstance(found, BaseException) else None


def _said(error: BaseException) -> str:
    text = str(error).strip()
    if not text:
        return ""
    for kind in type(error).__mro__:
        if tell := _TELLERS.get(kind.__module__.partition(".")[0]):
            return tell(error) or HIDDEN
    if isinstance(error, OSError):
        return error.strerror or HIDDEN
    if {"msg", "lineno", "colno"} <= vars(error).keys() and "JSON" in type(error).__name__:
        about = vars(error)
        return f"{about['msg']}: line {about['lineno']} column {about['colno']}"
    return text if isinstance(error, _PLAIN) else HIDDEN


def _root(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _own(error: BaseException) -> str:
    return str(error)


def _by_sqlalchemy(error: BaseException) -> str:
    return str(error) if type(error).__name__ == "TimeoutError" else ""


def _by_postgresql(error: BaseException) -> str:
    state = getattr(error, "pgcode", None)
    if state is None:
        # The server was not reached, or is gone: the client library says where and why.
        is_connection = type(error).__name__ in ("OperationalError", "InterfaceError")
        return str(error).strip() if is_connection else ""
    primary = getattr(getattr(error, "diag", None), "message_primary", None) or ""
    if not state.startswith(_SAFE_STATES):
        primary = _QUOTED.sub("", primary)
    return f"{primary.strip()} (SQLSTATE {state})".strip()


def _by_redis(error: BaseException) -> str:
    if any(kind.__name__ in ("ConnectionError", "TimeoutError") for kind in type(error).__mro__):
        return str(error)
    # Of what a server refuses the code is told; the rest may quote the command.
    code = _REDIS_CODE.match(str(error).rpartition("caused error: ")[2])
    return code.group() if code else ""


def _by_stripe(error: BaseException) -> str:
    about = {
        "HTTP": getattr(error, "http_status", None) or "no answer",
        "code": getattr(error, "code", None),
        "request": getattr(error, "request_id", None),
    }
    return ", ".join(f"{name} {value}" for name, value in about.items() if value)


def _by_kombu(error: BaseException) -> str:
    return str(error) if type(error).__name__ == "OperationalError" else ""


_TELLERS: Mapping[str, Callable[[Any], str]] = {
    **dict.fromkeys(_OURS | _HARMLESS, _own),
    "kombu": _by_kombu,
    "psycopg2": _by_postgresql,
    "redis": _by_redis,
    "sqlalchemy": _by_sqlalchemy,
    "stripe": _by_stripe,
}
