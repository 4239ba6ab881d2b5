"""`destinations`, as an operator types it."""

import re
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from db.outbox import destinations as tables
from tests.pipeline import a_worker_context
from tests.receiver import receiving
from tests.workers.hearing.conftest import Deliver, Tell
from workers.commands.destinations import destinations
from workers.operations import doctor
from workers.schedule.prune import prune

Run = Callable[..., str]


@pytest.fixture
def cli(engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs the command with these words; fails unless it exits as expected."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))
    monkeypatch.setenv("DESTINATIONS_ALLOW_PRIVATE", "True")

    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(destinations, words)
        assert result.exit_code == code, result.output
        return result.output

    yield run
    engine.dispose()


def added(cli: Run, url: str, *options: str) -> tuple[str, str]:
    """Add a destination; its id and its secret."""
    output = cli("add", url, *options)
    ids, secrets = re.findall(r"dest_\w+", output), re.findall(r"whsec_\S+", output)
    return ids[0], secrets[0]


def test_a_destination_from_its_first_message_to_its_end(
    cli: Run, tell: Tell, deliver: Deliver
) -> None:
    """Its secret is shown once, by `add`, and a new one once by `rotate`."""
    assert "There is no destination" in cli("list")
    with receiving() as receiver:
        name, receiver.secret = added(cli, receiver.url, "--type", "tokens.changed")
        assert "answered 200" in cli("test", name)
        assert receiver.heard[0]["type"] == "destination.test"
        tell(balance=1)
        deliver()
        assert len(receiver.heard) == 2
        listed = cli("list")
        assert name in listed
        assert "well" in listed
        assert receiver.secret not in listed
        assert "paused" in cli("pause", name, "--reason", "a move")
        assert "a move" in cli("list")
        tell(balance=2)
        deliver()
        assert len(receiver.heard) == 2
        cli("resume", name)
        deliver()
        assert len(receiver.heard) == 3
        new = re.findall(r"whsec_\S+", cli("rotate", name))[0]
        assert "answered 200" in cli("test", name)
        receiver.secret = new
        assert "answered 200" in cli("test", name)
        assert "2 messages" in cli("resend", name, "--since", "1h", "--user", "u")
        deliver()
        assert [message["version"] for message in receiver.heard[-2:]] == [1, 2]
        cli("remove", name, "--yes")
    assert "There is no destination" in cli("list")


def test_what_cannot_be_done_is_said_in_a_line(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And changes nothing."""
    assert "no destination dest_x" in cli("test", "dest_x", code=1)
    assert "There is no type nonsense" in cli(
        "add", "http://127.0.0.1/", "--type", "nonsense", code=1
    )
    with receiving(behavior="500") as receiver:
        name, _ = added(cli, receiver.url)
        assert "answered 500" in cli("test", name, code=1)
        cli("remove", name, "--yes")
    monkeypatch.setenv("DESTINATIONS_ALLOW_PRIVATE", "False")
    for url in ("http://example.com/", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/"):
        assert "Nothing was added" in cli("add", url, code=1)
    assert "There is no destination" in cli("list")


def test_doctor_names_who_does_not_hear(
    cli: Run, engine: Engine, tell: Tell, deliver: Deliver
) -> None:
    """With what to do about it."""
    with receiving(behavior="500") as receiver:
        name, _ = added(cli, receiver.url)
        tell(balance=1)
        deliver()
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE destinations SET failing_since = now() - interval '1 hour'")
            )
        (finding,) = doctor.destinations_of(engine)
        assert finding.level == "warn"
        assert "1 user(s) wait to be told; failing for 36" in finding.says
        assert "failing for 60 min: answered 500" in cli("list")
        with engine.begin() as connection:
            tables.pause(connection, name, "a test")
        (finding,) = doctor.destinations_of(engine)
        assert "paused: a test" in finding.says
        assert finding.cure == f"mend it, then `destinations resume {name}`"


def test_the_scheduler_prunes_in_parts(
    engine: Engine, database_url: str, redis_url: str, tell: Tell
) -> None:
    """Until nothing old is left."""
    for number in range(5):
        tell(balance=number)
    with engine.begin() as connection:
        connection.execute(text("UPDATE outbox SET created_at = now() - interval '4 days'"))
    context = a_worker_context(database_url, redis_url)
    assert prune(context, at_a_time=2) == 5
    assert prune(context) == 0
    context.engine.dispose()
