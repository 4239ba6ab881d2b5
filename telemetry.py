"""Sets up the logs: one line an event, for machines (json) or people (console), on stderr.

A log event is a constant phrase with key=value fields. No code of ours logs a secret; what looks
like one is blotted out all the same, because libraries log their connection strings. `telling`
renders every error, whoever logs it, because messages hold values of users.
"""

import logging
import re
import sys
import threading
from typing import Any, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

import telling

_SECRETS = re.compile(
    r"\b(?:sk|rk)_(?:live|test)_\w+"  # Stripe keys
    r"|\bwhsec_\w+"  # webhook secrets
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"  # JSON Web Tokens
    r"|(?<=://)[^/@\s\"]*:[^/@\s\"]+(?=@)"  # user:password in a URL
)
# One of these is in everything that the pattern finds.
_MARKS = ("sk_", "rk_", "whsec_", "eyJ", "://")
_BLOT = "[hidden]"

# Libraries that log at level info what our own lines say already.
_QUIET = ("alembic.runtime.plugins", "celery.worker.strategy", "celery.app.trace", "celery.beat")


def configure(log_format: str, process: str, *, level: str = "info") -> None:
    """Send every log of this process to stderr; a second call replaces the first.

    `log_format` is `json` or `console`, `process` names this process in every line, and lines
    below `level` (debug, info, warning, error) are dropped. Standard-library logging goes the
    same way.
    """
    threshold = getattr(logging, level.upper())
    shared = _shared_processors(process)
    renderers = _renderers(log_format)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    _configure_standard_library(threshold, shared, renderers)


def catch_uncaught() -> None:
    """Log an error that ends this process or one of its threads like any other error."""
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda about: _log_uncaught(about.exc_type, about.exc_value, None)
    sys.unraisablehook = lambda about: _log_uncaught(about.exc_type, about.exc_value, None)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: object) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    del trace  # The error has it.
    get_logger("uncaught").critical("error not caught", error=kind.__name__, exc_info=error)


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines say which part of the product they come from."""
    return cast("FilteringBoundLogger", structlog.get_logger(origin=name))


def _shared_processors(process: str) -> list[Processor]:
    def add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        add_process,
        structlog.processors.StackInfoRenderer(),
        _tell_errors,
    ]


def _add_origin(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    event["origin"] = record.name
    return event


def _tell_errors(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Render the error of a line, and every field that is an error, without the values in it."""
    error = _raised(event.pop("exc_info", None))
    if error is not None:
        event["exception"] = telling.with_trace(error)
    for name, value in event.items():
        if isinstance(value, BaseException):
            event[name] = telling.in_one_line(value)
    return event


def _raised(exc_info: object) -> BaseException | None:
    """The error that a line was logged with, in any of the ways to name it."""
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    elif exc_info and not isinstance(exc_info, BaseException):
        exc_info = sys.exc_info()[1]
    return exc_info if isinstance(exc_info, BaseException) else None


def _clean_foreign(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the text of errors in what libraries log."""
    positional = event.pop("positional_args", ())
    found = positional.values() if isinstance(positional, dict) else positional
    errors = [each for each in found if isinstance(each, BaseException)]
    error = _raised(event.get("exc_info"))
    said = str(event["event"])
    for each in (*errors, *([error] if error is not None else [])):
        said = telling.without_error(said, each)
    # Celery names the error of a task by its text, which may be cut or be of another object.
    if isinstance(about := getattr(event["_record"], "data", None), dict) and "exc" in about:
        said = said.replace(str(about["exc"]), telling.HIDDEN)
    event["event"] = telling.without_traces(said)
    return event


def _renderers(log_format: str) -> list[Processor]:
    if log_format == "console":
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            timestamp_key="at",
            # Errors are rendered by now; the default would want them itself, local variables too.
            exception_formatter=structlog.dev.plain_traceback,
        )
        return [console, _blot]
    json = structlog.processors.JSONRenderer(serializer=_to_json)
    return [json, _blot]


def _to_json(event: EventDict, default: Any = None, **_options: object) -> str:  # noqa: ANN401 - structlog passes its own fallback here.
    return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()


def blotted(line: str) -> str:
    """The text without what looks like a secret."""
    # Most lines have none of these marks, and need no search.
    return _SECRETS.sub(_BLOT, line) if any(mark in line for mark in _MARKS) else line


def _blot(_logger: WrappedLogger, _method: str, line: Any) -> str:  # noqa: ANN401 - the last processor is given what the renderer made, a string.
    return blotted(line)


def _configure_standard_library(
    threshold: int, shared: list[Processor], renderers: list[Processor]
) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_clean_foreign, _add_origin, *shared],
        pass_foreign_args=True,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
