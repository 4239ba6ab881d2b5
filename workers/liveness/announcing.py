"""A worker announces which formats it reads, from before its first event until it ends."""

import threading
from contextlib import closing, suppress

import redis

import settings
from db.queue import stream
from db.queue.formats import ANNOUNCE_EVERY_SECONDS, Readers
from workers.liveness import consumer_id

_ends = threading.Event()


def announce() -> None:
    """Announce once; a Redis that is away is told later. Leaves no connection open."""
    with suppress(redis.RedisError, OSError), closing(stream.connect(_url())) as client:
        Readers(client).announce(consumer_id.own_name())


def withdraw() -> None:
    """Announce the end of this worker, so that nobody has to wait for it to run out."""
    _ends.set()
    with suppress(redis.RedisError, OSError), closing(stream.connect(_url())) as client:
        Readers(client).withdraw(consumer_id.own_name())


def start_announcing() -> None:
    """Announce again and again, from a thread that ends with the process."""
    threading.Thread(target=_announce_for_ever, name="announcing", daemon=True).start()


def _announce_for_ever() -> None:
    readers = Readers(stream.connect(_url()))
    name = consumer_id.own_name()
    while not _ends.wait(ANNOUNCE_EVERY_SECONDS):
        with suppress(redis.RedisError, OSError):
            readers.announce(name)


def _url() -> str:
    return settings.load(needs=("redis_url",)).redis_url
