"""A destination that takes every message at once: `python -m bench.listener PORT`."""

import asyncio
import sys

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_LENGTH = b"content-length:"


async def _take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = (line for line in head.lower().split(b"\r\n") if line.startswith(_LENGTH))
            size = int(next(lines, _LENGTH + b"0").removeprefix(_LENGTH))
            await reader.readexactly(size)
            writer.write(_ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def listen(port: int) -> None:
    """Answer on this port of the loopback until the process ends."""
    async with await asyncio.start_server(_take, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(listen(int(sys.argv[1])))
