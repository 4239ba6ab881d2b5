"""What a stream sends and when: messages as they come, comments by the clock, then its end."""

import asyncio
import time

import pytest

from ingest.stream import stream_entry
from ingest.stream.hub import Subscription
from ingest.stream.stream_entry import texts_of

COMMENT = ": still here\n\n"


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment every tenth of a second."""
    monkeypatch.setattr(stream_entry, "COMMENT_SECONDS", 0.1)


async def sent(subscription: Subscription, seconds: float) -> list[str]:
    """Everything that is sent while the token lasts."""
    return [text async for text in texts_of(subscription, time.time() + seconds)]


def test_comments_come_by_the_clock_however_much_else_does() -> None:
    """A stream that is told something all the time says that it is there all the same."""

    async def busy() -> list[str]:
        subscription = Subscription("u", 0)

        async def tell() -> None:
            while True:
                subscription.put("x")
                await asyncio.sleep(0.01)

        telling = asyncio.create_task(tell())
        texts = await sent(subscription, 0.65)
        telling.cancel()
        return texts

    texts = asyncio.run(busy())
    assert 4 <= "".join(texts).count(COMMENT) <= 7
    assert "".join(texts).replace(COMMENT, "").count("x") > 20


def test_an_idle_stream_sends_comments_alone_and_ends_with_its_token() -> None:
    """At its time, not at the next comment."""
    began = time.monotonic()
    texts = asyncio.run(sent(Subscription("u", 0), 0.35))
    # The first comes within the first interval.
    assert set(texts) == {COMMENT}
    assert len(texts) in (3, 4)
    assert 0.3 < time.monotonic() - began < 0.5


def test_what_waits_is_sent_before_a_closed_stream_ends() -> None:
    """Its client comes back and resumes from there."""

    async def closed() -> list[str]:
        subscription = Subscription("u", 0)
        subscription.put("x")
        asyncio.get_running_loop().call_later(0.02, subscription.close)
        return await sent(subscription, 5.0)

    assert "".join(asyncio.run(closed())).replace(COMMENT, "") == "x"
