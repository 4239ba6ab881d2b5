"""The logs: one format for ours and for libraries', and no secret in either."""

import json
import logging

import pytest

import telemetry

SECRETS = [
    "sk_live_abcdef123",
    "rk_test_abcdef123",
    "whsec_abcdef123",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl",
    "redis://default:hunter2@host:6379/0",
    "postgresql://app:hunter2@host/db",
    "amqp://guest:hunter2@host//",
]


def fail(reason: str) -> None:
    """Raise an error to log."""
    raise ValueError(reason)


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_is_blotted_out(
    capsys: pytest.CaptureFixture[str], log_format: str, secret: str
) -> None:
    """In our lines, in libraries' lines, and in the text of exceptions."""
    telemetry.configure(log_format, "test")
    log = telemetry.get_logger("tests")
    log.info("said by us", value=secret)
    logging.getLogger("library").warning("connecting to %s", secret)
    try:
        fail(secret)
    except ValueError:
        logging.getLogger("library").exception("failed")
        log.exception("failed too")
    written = capsys.readouterr().err
    assert written.count("[hidden]") == 4
    assert "hunter2" not in written
    assert "abcdef123" not in written
    assert "c2lnbmF0dXJl" not in written


def test_libraries_log_like_we_do(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON lines with the same fields, whoever wrote them."""
    telemetry.configure("json", "worker")
    telemetry.get_logger("ours").info("a phrase", number=1)
    logging.getLogger("theirs").warning("a %s", "message")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["origin"], ours["number"]) == ("a phrase", "ours", 1)
    assert (theirs["event"], theirs["origin"], theirs["level"]) == (
        "a message",
        "theirs",
        "warning",
    )
    assert ours["process"] == theirs["process"] == "worker"
    assert ours["at"].endswith("Z")


def test_what_is_below_the_level_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    """LOG_LEVEL=warning is for quiet machines."""
    telemetry.configure("json", "test", level="warning")
    telemetry.get_logger("ours").info("not said")
    logging.getLogger("theirs").info("not said either")
    telemetry.get_logger("ours").warning("said")
    assert capsys.readouterr().err.count("\n") == 1


def test_the_console_shows_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """They hold payloads."""
    telemetry.configure("console", "test")
    payload = "someone@" + "example.com"
    try:
        fail(str(len(payload)))
    except ValueError:
        telemetry.get_logger("ours").exception("failed")
    assert "someone@example.com" not in capsys.readouterr().err
