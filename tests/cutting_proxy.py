"""A way between two processes that can be cut at any time, and closed."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class CuttingProxy:
    """Passes connections on to a port of this machine; while it is `closed` it ends each at once.

    `passed` counts the connections that it passed on.
    """

    target: int
    closed: bool = False
    passed: int = 0
    _sockets: set[socket.socket] = field(default_factory=set)
    _server: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.getsockname()[1])

    def cut(self) -> None:
        """Break every connection off, wherever it is."""
        for one in list(self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def accept_on(self) -> None:
        """Pass connections on until the proxy is stopped."""
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self.closed:
                client.close()
                continue
            try:
                upstream = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                client.close()
                continue
            upstream.settimeout(None)
            self.passed += 1
            for source, sink in ((client, upstream), (upstream, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def stop(self) -> None:
        """End everything."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        self._sockets.add(source)
        with suppress(OSError):
            while part := source.recv(65_536):
                sink.sendall(part)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        self._sockets.discard(source)
        source.close()


@contextmanager
def cutting(target: int) -> Iterator[CuttingProxy]:
    """A proxy before this port."""
    proxy = CuttingProxy(target)
    thread = threading.Thread(target=proxy.accept_on, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()
