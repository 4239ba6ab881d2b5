"""Ports of this machine: which are free, and which an engine is given."""

import random
import socket

from dev.up.errors import EngineError

# Below the range from which the kernel draws the ports of outgoing connections: inside it, a client
# that keeps trying a stopped server can be given the server's port and so keep it from starting.
PORTS = range(20000, 32000)


def free_port(preferred: int | None = None) -> int:
    """A loopback port nobody listens on: the preferred one if it is free. Raises `EngineError`."""
    drawn = random.sample(PORTS, 50)
    for port in drawn if preferred is None else [preferred, *drawn]:
        if port_is_free("127.0.0.1", port):
            return port
    raise EngineError("no free port on 127.0.0.1; stop something that listens there")


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen on `port` of `host` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, UnicodeError):  # The latter for a name that no host can have.
            return False
    return True
