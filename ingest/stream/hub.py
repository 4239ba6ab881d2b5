"""Gives the messages of users to their open streams, on one event loop.

The outbox is the truth: a hint says only that a user has news, and what the news are is read. A
hint that is lost costs time and no message, because everything is looked at again every few
seconds. Users whose hints come together are read in one statement.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import metrics
import telemetry

# How often every open stream's user is looked at, without any hint.
SWEEP_SECONDS = 15.0
# The same while hints do not come.
DELAYED_SWEEP_SECONDS = 2.0
RETRY_SECONDS = 1.0
# A stream that does not take this many messages is closed; it resumes where it was.
WAITING_MAX = 500
STREAMS_MAX = 5_000
STREAMS_OF_USER_MAX = 20
_log = telemetry.get_logger("ingest.stream.hub")


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the outbox as it is sent: `text` is the whole message as JSON."""

    version: int
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class News:
    """What the outbox has of a user after a version, oldest first.

    `version` is the user's newest. `has_gap` says that messages after the version asked for are
    no longer kept.
    """

    version: int
    messages: tuple[Message, ...] = ()
    has_gap: bool = False


# The news of users after these versions; None asks for the newest version alone.
ReadNews = Callable[[Mapping[str, int | None]], Mapping[str, News]]


class TooManyStreamsError(Exception):
    """The process, or the user, has as many open streams as may be."""

    def __init__(self, *, of_user: bool) -> None:
        super().__init__()
        self.of_user = of_user


@dataclass(eq=False, slots=True)
class Subscription:
    """One open stream: what it has been given, and what waits to be sent."""

    user_id: str
    # What was sent last; None until the user's newest version is known.
    version: int | None
    is_closed: bool = False
    _waiting: deque[str] = field(default_factory=deque)
    _has_news: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, text: str) -> None:
        """Have a text sent; a stream that takes none is closed."""
        if len(self._waiting) >= WAITING_MAX:
            self.close()
            return
        self._waiting.append(text)
        self._has_news.set()

    async def take(self) -> list[str]:
        """Wait for something to send, and take it; empty when the stream is closed."""
        await self._has_news.wait()
        texts = list(self._waiting)
        self._waiting.clear()
        if not self.is_closed:
            self._has_news.clear()
        return texts

    def close(self) -> None:
        """End the stream; its client comes back and resumes."""
        self.is_closed = True
        self._has_news.set()


class Hub:
    """The open streams of one event loop; every method is called on that loop."""

    def __init__(self, read: ReadNews) -> None:
        """`read` may block: it is called in a thread."""
        self._read = read
        self._streams: dict[str, set[Subscription]] = {}
        self._count = 0
        self._with_news: set[str] = set()
        self._wake = asyncio.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="outbox-reader")
        self._is_delayed = False
        self._task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read for streams."""
        self._task = loop.create_task(self._read_on())

    def stop(self) -> None:
        """Close every stream."""
        for subscription in self._subscriptions():
            subscription.close()
        if self._task is not None:
            self._task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def count(self) -> int:
        """How many streams are open."""
        return self._count

    def open(self, user_id: str, version: int | None) -> Subscription:
        """A stream of a user's messages after `version`, or after now.

        Raises `TooManyStreamsError`.
        """
        of_user = self._streams.get(user_id, set())
        if self._count >= STREAMS_MAX or len(of_user) >= STREAMS_OF_USER_MAX:
            raise TooManyStreamsError(of_user=len(of_user) >= STREAMS_OF_USER_MAX)
        subscription = Subscription(user_id, version)
        self._streams.setdefault(user_id, set()).add(subscription)
        self._count += 1
        metrics.streams_open(self._count)
        if self._is_delayed:
            subscription.put(DELAYED)
        self.has_news(user_id)
        return subscription

    def close(self, subscription: Subscription) -> None:
        """Forget a stream that has ended."""
        of_user = self._streams.get(subscription.user_id, set())
        if subscription not in of_user:
            return
        of_user.discard(subscription)
        if not of_user:
            del self._streams[subscription.user_id]
        self._count -= 1
        metrics.streams_open(self._count)

    def has_news(self, user_id: str) -> None:
        """A user's outbox has something new."""
        if user_id in self._streams:
            self._with_news.add(user_id)
            self._wake.set()

    def hints_come(self) -> None:
        """Redis is listened to (again): what was hinted at meanwhile is looked for."""
        if self._is_delayed:
            self._is_delayed = False
            self._put_all(LIVE)
        self._with_news.update(self._streams)
        self._wake.set()

    def hints_fail(self) -> None:
        """Redis cannot be listened to: streams are told that changes come late."""
        if not self._is_delayed:
            self._is_delayed = True
            self._put_all(DELAYED)
            self._wake.set()

    def _put_all(self, text: str) -> None:
        for subscription in self._subscriptions():
            subscription.put(text)

    def _subscriptions(self) -> list[Subscription]:
        return [each for of_user in self._streams.values() for each in of_user]

    async def _read_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._await_news()
            users, self._with_news = self._with_news, set()
            wanted = self._wanted(users)
            if not wanted:
                continue
            try:
                news = await loop.run_in_executor(self._pool, self._read, wanted)
            except Exception as error:  # noqa: BLE001 - a database fails in many ways; it is asked again.
                _log.warning("outbox not read", error=type(error).__name__, users=len(wanted))
                await asyncio.sleep(RETRY_SECONDS)
                self._with_news |= users
                self._wake.set()
                continue
            self._give(news)

    async def _await_news(self) -> None:
        """Wait for a hint, or until everybody is looked at without one."""
        sweep_seconds = DELAYED_SWEEP_SECONDS if self._is_delayed else SWEEP_SECONDS
        try:
            async with asyncio.timeout(sweep_seconds):
                await self._wake.wait()
        except TimeoutError:
            self._with_news.update(self._streams)
        self._wake.clear()

    def _wanted(self, users: Iterable[str]) -> dict[str, int | None]:
        """For each user the version after which somebody lacks something."""
        wanted: dict[str, int | None] = {}
        for user_id in users:
            versions = [each.version for each in self._streams.get(user_id, ())]
            known = [version for version in versions if version is not None]
            if versions:
                wanted[user_id] = min(known) if known else None
        return wanted

    def _give(self, news: Mapping[str, News]) -> None:
        for user_id, of_user in news.items():
            for subscription in self._streams.get(user_id, ()):
                give(subscription, of_user)
                if subscription.version is not None and subscription.version < of_user.version:
                    self.has_news(user_id)  # There is more than was read at once.


DELAYED = 'event: delayed\ndata: {"reason": "changes are told late at the moment"}\n\n'
LIVE = "event: live\ndata: {}\n\n"


def give(subscription: Subscription, news: News) -> None:
    """Have a stream send what it lacks of these news."""
    if subscription.version is None:
        subscription.version = news.version
        subscription.put(_position("ready", news.version))
        return
    if news.has_gap or subscription.version > news.version:
        # What is missing is kept nowhere: the client asks for the state anew.
        subscription.version = news.version
        subscription.put(_position("reset", news.version))
        return
    for message in news.messages:
        if message.version > subscription.version:
            subscription.version = message.version
            subscription.put(
                f"id: {message.version}\nevent: {message.type}\ndata: {message.text}\n\n"
            )


def _position(event: str, version: int) -> str:
    return f'id: {version}\nevent: {event}\ndata: {{"version": {version}}}\n\n'
