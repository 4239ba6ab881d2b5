"""Brings simulated lives to the offline Stripe, which answers for them from then on."""

from collections.abc import Iterable, Iterator

import orjson

from sandbox.simulate.wire import BROKEN, Wire

# Where the offline Stripe takes them; see `sandbox.stripe.server`.
PATH = "/simulated/lives"
# A part is no larger than about so much.
PART_BYTES = 8 * 1024 * 1024


class BringingError(Exception):
    """Nobody takes the lives, so nobody could answer for them."""


def bring(url: str, answers: Iterable[tuple[str, bytes]]) -> int:
    """Bring what is to be answered at each path to the offline Stripe at `url`; returns how much.

    Raises `BringingError` where there is none.
    """
    wire, taken = Wire(url), 0
    try:
        for part in _parts(answers):
            headers = {"Content-Type": "application/json"}
            status, answer = wire.request("POST", PATH, headers, part)
            if status != 200:  # noqa: PLR2004 - HTTP's own figure.
                raise BringingError(f"{url}{PATH} answers {status}: is it the offline Stripe?")
            taken += orjson.loads(answer)["taken"]
    except BROKEN as error:
        raise BringingError(f"no offline Stripe at {url}: {type(error).__name__}") from error
    finally:
        wire.close()
    return taken


def _parts(answers: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    part: list[bytes] = []
    size = 0
    for path, body in answers:
        member = orjson.dumps(path) + b":" + body
        if part and size + len(member) > PART_BYTES:
            yield b"{" + b",".join(part) + b"}"
            part, size = [], 0
        part.append(member)
        size += len(member)
    if part:
        yield b"{" + b",".join(part) + b"}"
