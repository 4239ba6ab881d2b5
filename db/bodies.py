"""Bodies as they are kept: zstd frames, written with a dictionary of what events have in common.

Most of an event is names of fields that every other event has too. A dictionary, trained on
simulated events by `python -m dev.checks.dictionary`, holds them, so that a frame does not. Each
frame names its dictionary, so one that was ever written with is never changed and never removed.
Frames without one are read as well.

A process writes with the oldest dictionary until it is told that every worker reads a newer one
(`write_with`; `db.queue.formats` asks).
"""

import threading
from collections.abc import Mapping
from pathlib import Path

import zstandard

LEVEL = 3
# Stripe's bodies are limited by the receiver to 1 MiB; anything larger was not put there by us.
BYTES_MAX = 4 * 1024 * 1024
DIRECTORY = Path(__file__).parent / "dictionaries"


class UnknownDictionaryError(Exception):
    """A frame was written with a dictionary that this release does not have."""


def _dictionaries() -> Mapping[int, zstandard.ZstdCompressionDict]:
    files = DIRECTORY.glob("*.zdict")
    dictionaries = map(zstandard.ZstdCompressionDict, map(Path.read_bytes, files))
    return {dictionary.dict_id(): dictionary for dictionary in dictionaries}


_DICTIONARIES = _dictionaries()
NEWEST = max(_DICTIONARIES)
# What every release since 0.2.0 reads, also those that do not say so.
OLDEST = min(_DICTIONARIES)
for _dictionary in _DICTIONARIES.values():
    # Digested once for all threads.
    _dictionary.precompute_compress(level=LEVEL)


class _Thread(threading.local):
    """Compressors are not safe to share between threads, and cost more than one use of them."""

    def __init__(self) -> None:
        self.compressors = {
            number: zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary)
            for number, dictionary in _DICTIONARIES.items()
        } | {0: zstandard.ZstdCompressor(level=LEVEL)}
        self.decompressors = {
            number: zstandard.ZstdDecompressor(dict_data=dictionary)
            for number, dictionary in _DICTIONARIES.items()
        } | {0: zstandard.ZstdDecompressor()}


class _Choice:
    """Which dictionary this process writes with; a changed number is seen by every thread."""

    number = OLDEST


_thread = _Thread()
_choice = _Choice()


def write_with(limit: int) -> int:
    """Write with the newest dictionary up to this number from now on, with none below the first.

    Returns its number; 0 stands for none.
    """
    _choice.number = max((number for number in _DICTIONARIES if number <= limit), default=0)
    return _choice.number


def compress(body: bytes) -> bytes:
    """A body as it is kept: one frame, which knows its size and its dictionary."""
    # A copy, because what zstandard returns holds as much memory as the body might have needed.
    return b"%b" % _thread.compressors[_choice.number].compress(body)


def decompress(kept: bytes) -> bytes:
    """A body as it was; `UnknownDictionaryError` when a later release of this product wrote it."""
    number = zstandard.get_frame_parameters(kept).dict_id
    decompressor = _thread.decompressors.get(number)
    if decompressor is None:
        raise UnknownDictionaryError(
            f"dictionary {number} is not in {DIRECTORY.name}: a newer release of this product"
            " compressed this body; a worker of that release reads it"
        )
    return decompressor.decompress(kept, max_output_size=BYTES_MAX)
