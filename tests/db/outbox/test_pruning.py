"""Old messages go once everybody has them; who is still to hear them keeps them."""

import pytest
from sqlalchemy import Engine, text

from db.outbox import deliveries, destinations, messages, pruning
from db.outbox.messages import Message, MessageType

USERS = ("u", "v")


@pytest.fixture
def told(engine: Engine) -> Engine:
    """Two users with two messages each, ten days ago."""
    with engine.begin() as connection:
        for user in USERS * 2:
            messages.write(connection, [Message(user, MessageType.TOKENS_CHANGED, {})])
        connection.execute(text("UPDATE outbox SET created_at = now() - interval '10 days'"))
    return engine


def prune(engine: Engine) -> int:
    """Delete what may go; returns how many messages are left."""
    with engine.begin() as connection:
        pruning.prune(connection)
        return int(connection.execute(text("SELECT count(*) FROM outbox")).scalar_one())


def test_without_a_destination_the_old_goes_and_the_new_stays(told: Engine) -> None:
    """A stream is resumed for three days; the numbers go on where they were."""
    with told.begin() as connection:
        messages.write(connection, [Message("u", MessageType.TOKENS_CHANGED, {})])
    assert prune(told) == 1
    with told.connect() as connection:
        [oldest] = messages.after(connection, {"u": 0}, limit=1)["u"]
        assert oldest.version == 3


def test_what_a_destination_still_lacks_stays(told: Engine) -> None:
    """Also while it is paused; after a month even that goes."""
    with told.begin() as connection:
        destinations.add(connection, "d", "https://d.example/", "whsec_AAAA", [])
        connection.execute(text("UPDATE destinations SET created_at = now() - interval '1 year'"))
        destinations.pause(connection, "d", "a test")
    assert prune(told) == 4
    with told.begin() as connection:
        assert deliveries.assign(connection) == 2
    assert prune(told) == 4
    with told.begin() as connection:
        deliveries.told(connection, "d", "u", 2, [])
        deliveries.told(connection, "d", "v", 1, [])
    assert prune(told) == 1
    with told.begin() as connection:
        connection.execute(text("UPDATE outbox SET created_at = now() - interval '31 days'"))
    assert prune(told) == 0


def test_what_is_to_be_sent_again_stays(told: Engine) -> None:
    """Until it was."""
    with told.begin() as connection:
        destinations.add(connection, "d", "https://d.example/", "whsec_AAAA", [])
        while deliveries.assign(connection):
            pass
        assert destinations.resend(connection, "d", user_id="u") == 2
    assert prune(told) == 2
