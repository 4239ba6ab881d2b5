"""`dev.env`: secrets made once, nobody else's copied, nothing readable by others."""

from pathlib import Path

import pytest
from dotenv import dotenv_values

from dev.up import environment
from dev.up.environment import Addresses

ADDRESSES = Addresses("postgresql://u:p@127.0.0.1:5432/b", "redis://127.0.0.1:6379/0", "::1", 8123)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory, with an environment that sets nothing of ours."""
    monkeypatch.chdir(tmp_path)
    for name in environment.GENERATED:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def kept(directory: Path) -> dict[str, str | None]:
    """What the file says."""
    return dotenv_values(directory / "dev.env", interpolate=False)


def test_secrets_are_made_once_and_addresses_every_time(directory: Path) -> None:
    """Tokens and listeners of yesterday work today, wherever the servers listen now."""
    environment.write(directory, ADDRESSES)
    first = kept(directory)
    environment.write(directory, Addresses("postgresql://elsewhere/b", "redis://x/0", "h", 1))
    second = kept(directory)
    assert str(first["STRIPE_WEBHOOK_SECRET"]).startswith("whsec_")
    assert len(str(first["JWT_SECRET"])) >= 32
    assert {name: second[name] for name in environment.GENERATED} == {
        name: first[name] for name in environment.GENERATED
    }
    assert second["DATABASE_URL"] == "postgresql://elsewhere/b"
    assert first["BASE_URL"] == "http://[::1]:8123"


def test_only_the_owner_reads_it(directory: Path) -> None:
    """It holds every secret of the machine's run."""
    environment.write(directory, ADDRESSES)
    assert (directory / "dev.env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("by_file", [False, True])
def test_a_secret_that_is_set_elsewhere_is_neither_made_nor_copied(
    directory: Path, monkeypatch: pytest.MonkeyPatch, *, by_file: bool
) -> None:
    """The environment and `.env` decide, and keep their secrets to themselves."""
    if by_file:
        (directory / ".env").write_text("JWT_SECRET=somebody's own\n", encoding="utf-8")
    else:
        monkeypatch.setenv("JWT_SECRET", "somebody's own")
    environment.write(directory, ADDRESSES)
    assert "JWT_SECRET" not in kept(directory)


@pytest.mark.parametrize("url", ["postgresql://u:p#w'q\\ $x@h/b", "postgresql://h/b?a=1&b=2"])
def test_any_url_is_read_back_as_it_was(directory: Path, url: str) -> None:
    """Quoting never changes an address."""
    environment.write(directory, Addresses(url, "redis://h/0", "h", 1))
    assert kept(directory)["DATABASE_URL"] == url
