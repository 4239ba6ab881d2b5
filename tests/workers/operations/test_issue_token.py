"""The token command: prints a token that the API accepts, and nothing else."""

import time
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

import settings
from ingest.http.auth import Authenticator, Caller
from workers.commands.tokens import issue_token

SECRET = "a secret for tests, thirty-two bytes long"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret, and nothing else that counts."""
    monkeypatch.chdir(tmp_path)
    for name in ("JWT_JWKS_URL", "JWT_AUDIENCE", "JWT_ISSUER", "BILLING_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JWT_SECRET", SECRET)


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(issue_token, arguments)


def test_the_api_accepts_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the user and the scopes that were asked for, and with audience and issuer."""
    monkeypatch.setenv("JWT_AUDIENCE", "billing")
    monkeypatch.setenv("JWT_ISSUER", "https://id.example.com")
    result = run("--user", "user_1", "--scope", "tokens:debit", "--scope", "other")
    assert result.exit_code == 0
    assert result.stderr == ""
    [token] = result.stdout.splitlines()
    found = Authenticator(settings.load()).caller(f"Bearer {token}")
    assert found == Caller("user_1", frozenset({"tokens:debit", "other"}))


@pytest.mark.parametrize(("options", "hours"), [((), 24), (("--ttl-hours", "0.5"), 0.5)])
def test_the_token_expires(options: tuple[str, ...], hours: float) -> None:
    """After a day, or when asked."""
    token = run("--user", "user_1", *options).stdout.strip()
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["exp"] == pytest.approx(time.time() + hours * 3600, abs=10)
    assert "scope" not in claims


def test_without_a_secret_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, with exit 1."""
    monkeypatch.delenv("JWT_SECRET")
    result = run("--user", "user_1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "JWT_SECRET" in result.stderr


def test_it_makes_no_token_that_would_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a key set is configured the shared secret opens nothing."""
    monkeypatch.setenv("JWT_JWKS_URL", "https://id.example.com/keys")
    result = run("--user", "user_1")
    assert result.exit_code == 1
    assert "JWT_JWKS_URL" in result.stderr
