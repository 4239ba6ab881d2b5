"""Errors told: every class of them provoked with marked values, of which nothing is told."""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import psycopg2.errors
import pytest
import redis
import stripe
import structlog
from celery.app.trace import LOG_FAILURE
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

import telemetry
import telling
from db.bodies import UnknownDictionaryError
from db.engine import make_engine
from domain.decode import decode, parse
from stripe_gateway import StripeKeyRefused
from tests.stripe_objects import an_event
from workers.pipeline.failure import described, traced

MARK = "Ada-4711-marked"
KEY = f"sk_live_{MARK.replace('-', '')}"
Provoke = Callable[[], object]
NOBODY: dict[str, str] = {}


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Undoes what a test does to the logs and to the hooks."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hook = sys.excepthook
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    sys.excepthook = hook


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    """An engine as the product makes it, beside a table with every kind of rule."""
    found = make_engine(database_url, pool_size=2)
    with found.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE marked (id int PRIMARY KEY, name varchar(20) UNIQUE NOT NULL,"
                " short varchar(3), amount int CHECK (amount > 0))"
            )
        )
        connection.execute(text("INSERT INTO marked VALUES (1, :mark, 'a', 1)"), {"mark": MARK})
    yield found
    with found.begin() as connection:
        connection.execute(text("DROP TABLE marked"))
    found.dispose()


STATEMENTS = {
    "CheckViolation": "INSERT INTO marked VALUES (2, CONCAT(:mark, '2'), 'a', -1)",
    "UniqueViolation": "INSERT INTO marked VALUES (3, :mark, 'a', 1)",
    "NotNullViolation": "INSERT INTO marked SELECT 4, NULL, NULL, 1 WHERE :mark <> ''",
    "StringDataRightTruncation": "INSERT INTO marked VALUES (5, 'b', :mark, 1)",
    "InvalidTextRepresentation": "SELECT CAST(:mark AS integer)",
    "InvalidDatetimeFormat": "SELECT CAST(:mark AS timestamptz)",
    "UndefinedFunction": "SELECT lower(:mark, :mark)",
    "SyntaxError": "SELECT FROM WHERE :mark",
    "UndefinedColumn": 'SELECT "Ada-4711-marked" FROM marked',
    "RaiseException": "DO $$ BEGIN RAISE EXCEPTION 'not so: Ada-4711-marked'; END $$",
    "LockNotAvailable": "UPDATE marked SET short = 'c' WHERE name = :mark",
    "QueryCanceled": "SELECT pg_sleep(5) WHERE :mark <> ''",
}


@pytest.mark.parametrize("kind", STATEMENTS)
def test_no_error_of_postgresql_tells_a_value(
    engine: Engine, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Integrity, data, syntax, locks: the class and the SQLSTATE say enough."""

    def ask() -> None:
        with engine.connect() as other, engine.begin() as connection:
            other.execute(text("SELECT * FROM marked FOR UPDATE"))
            connection.execute(
                text("SET LOCAL lock_timeout = 20; SET LOCAL statement_timeout = 90")
            )
            connection.execute(text(STATEMENTS[kind]), {"mark": MARK})

    error = caught(ask)
    assert isinstance(error, DBAPIError)
    assert kind in telling.in_one_line(error)
    assert re.search(r"\(SQLSTATE \w{5}\)$", telling.in_one_line(error))
    if kind == "CheckViolation":
        assert "marked_amount_check" in telling.in_one_line(error)
    assert_untold(error, capsys)


def caught(provoke: Provoke) -> Exception:
    """What something raises."""
    try:
        provoke()
    except Exception as error:  # noqa: BLE001 - all of them are looked at.
        return error
    raise AssertionError("nothing was raised")


def raising(error: BaseException) -> Provoke:
    """Raises an error that is made by hand."""

    def provoke() -> None:
        raise error

    return provoke


def chained() -> None:
    """An error that another one led to, which led to a third."""
    try:
        try:
            NOBODY[MARK]
        except KeyError:
            raise ValueError(MARK)  # noqa: B904 - by context.
    except ValueError as error:
        raise StripeKeyRefused(stripe.AuthenticationError(f"Invalid key: {KEY}")) from error


def a_noted_error() -> None:
    """An error with a note."""
    error = ZeroDivisionError("division by zero")
    error.add_note(MARK)
    raise error


OTHERS: dict[str, Provoke] = {
    "ValueError": raising(ValueError(f"no number: {MARK}")),
    "KeyError": raising(KeyError(MARK)),
    "AssertionError": raising(AssertionError(MARK)),
    "UnicodeDecodeError": lambda: f"{MARK} \udcff".encode("utf-8", "surrogateescape").decode(),
    "JSONDecodeError": lambda: orjson.loads(f'{{"user": "{MARK}'),
    "Error": raising(psycopg2.Error(MARK)),
    "ProgrammingError": raising(psycopg2.ProgrammingError(f"can't adapt {MARK}")),
    "ResponseError": raising(redis.ResponseError(f"unknown command 'X', with args: '{MARK}'")),
    "StripeKeyRefused": chained,
    "InvalidRequestError": raising(
        stripe.InvalidRequestError(f"No such customer: {MARK} for {KEY}", "customer")  # type: ignore[no-untyped-call]  # As it is.
    ),
    "ZeroDivisionError": a_noted_error,
    "ExceptionGroup": raising(ExceptionGroup(MARK, [ValueError(MARK)])),
    "DecodeError": lambda: decode(
        parse(an_event("invoice.paid", {"id": MARK, "object": "invoice", "currency": MARK}))
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_no_other_error_tells_a_value(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the interpreter, of libraries, of Stripe, of our own, and what led to them."""
    error = caught(OTHERS[kind])
    assert type(error).__name__ == kind
    assert_untold(error, capsys)


def test_no_refusal_of_redis_tells_what_was_sent(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its client quotes the command, and so may the server; the code is told."""
    client = redis.Redis.from_url(redis_url)
    client.set("marked", MARK)
    pipeline: Any = client.pipeline()
    pipeline.execute_command("XADD", "marked", "*", "body", MARK)
    error = caught(pipeline.execute)
    assert telling.in_one_line(error).endswith("Error: WRONGTYPE")
    assert_untold(error, capsys)


def assert_untold(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """However and by whomever the error is logged or kept, its class and place are told alone."""
    told = "\n".join([described(error), traced(error) or "", telling.with_trace(error)])
    assert MARK not in told
    assert MARK.replace("-", "") not in told
    for log_format in ("json", "console"):
        capsys.readouterr()
        telemetry.configure(log_format, "test", level="debug")
        ways = log_in_every_way(error)
        written = capsys.readouterr().err
        assert MARK not in written
        assert MARK.replace("-", "") not in written
        kind = type(getattr(error, "orig", None) or error).__name__
        assert written.count(kind) >= ways
        assert written.count("test_telling.py") >= 5


def log_in_every_way(error: Exception) -> int:
    """As we do, as libraries do, as Celery does, as granian does; returns how many ways."""
    ours, theirs = telemetry.get_logger("ours"), logging.getLogger("theirs")
    ours.error("failed", exc_info=error)
    ours.warning("failed", error=error)
    theirs.error("failed", exc_info=error)
    theirs.error("failed: %s, %r", error, error, exc_info=error)
    theirs.error("failed: %(error)s", {"error": error})
    theirs.error(f"failed: {error} {error!r}", exc_info=error)
    trace = "".join(traceback.format_exception(error))
    logging.getLogger("_granian.utils").error("Application callable raised an exception\n%s", trace)
    about = {"name": "t", "id": "1", "description": "raised unexpected", "exc": repr(error)}
    raised = (type(error), error, error.__traceback__)
    logging.getLogger("celery.app.trace").error(
        LOG_FAILURE, about, exc_info=raised, extra={"data": about}
    )
    telemetry.catch_uncaught()
    sys.excepthook(type(error), error, error.__traceback__)
    return 9


def test_what_holds_no_value_is_told() -> None:
    """Errors are for people: servers that are away, our own words, slips of our code."""
    away = caught(lambda: create_engine("postgresql+psycopg2://u@127.0.0.1:1/d").connect())
    assert "connection to server" in telling.in_one_line(away)
    silent = caught(lambda: redis.Redis(port=1).ping())
    assert telling.in_one_line(silent).startswith(
        "ConnectionError: Error 111 connecting to localhost:1"
    )
    assert telling.in_one_line(UnknownDictionaryError("dictionary 7")).endswith(": dictionary 7")
    assert telling.in_one_line(AttributeError("'NoneType' object has no attribute 'x'")).endswith(
        "'x'"
    )
    assert telling.in_one_line(ValueError()) == "ValueError"
    assert telling.in_one_line(ValueError("x")) == "ValueError: [hidden]"
    assert telling.in_one_line(FileNotFoundError(2, "No such file or directory", MARK)) == (
        "FileNotFoundError: No such file or directory"
    )


def test_a_trace_has_the_lines_of_code_and_what_led_to_it() -> None:
    """Oldest first, as Python writes it."""
    told = telling.with_trace(caught(chained))
    first, second, third = told.split("Traceback (most recent call last):")[1:]
    assert "NOBODY[MARK]" in first
    assert "KeyError: [hidden]\n\nDuring handling" in first
    assert "ValueError: [hidden]\n\nThe above exception was the direct cause" in second
    assert third.strip().endswith("Stripe could not be asked: AuthenticationError, HTTP no answer.")


def test_a_command_that_breaks_tells_no_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug is a trace for whoever mends it, exit status 1, and nothing of anybody's."""
    from workers.commands import command_line  # noqa: PLC0415 - only this test runs one.

    def broken(*_words: Any, **_more: Any) -> None:
        raise ValueError(MARK)

    monkeypatch.setattr(command_line, "command_line", broken)
    with pytest.raises(SystemExit) as ended:
        command_line.main(["up"])
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert "test_telling.py" in told
    assert "ValueError: [hidden]" in told
    assert MARK not in told
