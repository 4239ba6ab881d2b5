"""Keeps the machine out of the tests, and the tests out of the world.

A test must not see this machine's `.env`, `.data`, product settings, proxies or time zone: what
passes before `up` passes after it. And nothing that a test does may reach Stripe, whatever keys
lie about. `tests/conftest.py` calls `enter` and works in an empty directory; processes that the
tests start inherit both. The `test` command itself, which may ask package registries, only
forgets the product's settings.
"""

import _socket
import functools
import ipaddress
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What may come in: whatever a program needs to run at all, to speak, and to install packages.
# A list of what must stay out would lack the setting that is added next.
KEPT = frozenset(
    (
        *("HOME", "LOGNAME", "PATH", "SHELL", "TEMP", "TMP", "TMPDIR", "USER", "VIRTUAL_ENV"),
        *("DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH", "SSL_CERT_DIR", "SSL_CERT_FILE"),
        *("CI", "COLUMNS", "DISPLAY", "LINES", "TERM", "LANG", "LANGUAGE"),
        *("FORCE_COLOR", "NO_COLOR", "PY_COLORS"),
    )
)
KEPT_PREFIXES = (
    *("COVERAGE_", "FAULTS_", "HYPOTHESIS_", "PLAYWRIGHT_", "PYTEST_", "PYTHON", "TEST_"),
    *("LC_", "NIX_", "NODE_", "NPM_CONFIG_", "npm_config_", "PIP_", "UV_", "XDG_"),
)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
# Neither UTC nor whole hours away from it: who takes local time for UTC is seen everywhere.
TIME_ZONE = "Asia/Kathmandu"
# Nobody listens there. A process that asks it for the way out gets no further.
DEAD_PROXY = "http://127.0.0.1:1"
LOOPBACK_NAMES = "localhost,127.0.0.1,::1"
# Holds the machine's own proxies, as JSON, for whoever asks a package registry.
OUTWARD = "TEST_OUTWARD"

# Where a test of this process tried to go.
attempts: list[str] = []


class OutsideError(OSError):
    """A test tried to reach something that is not this machine."""


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment of this machine with its proxies, and nothing that sets up the product."""
    return {
        name: value
        for name, value in environ.items()
        if name in KEPT or name.startswith(KEPT_PREFIXES) or name.upper() in PROXIES
    }


def secluded(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a test: nothing of this machine in it, and no way out of it."""
    kept = without_settings(environ)
    proxies = {name: kept.pop(name) for name in list(kept) if name.upper() in PROXIES}
    # Who enters a second time finds the proxies of the first.
    kept.setdefault(OUTWARD, json.dumps(proxies))
    paths = (str(ROOT), *kept.get("PYTHONPATH", "").split(os.pathsep))
    kept |= dict.fromkeys(PROXIES, DEAD_PROXY)
    kept.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(ROOT / ".hypothesis"))
    return kept | {
        "NO_PROXY": LOOPBACK_NAMES,
        # Tests work elsewhere, and so do the processes that they start.
        "PYTHONPATH": os.pathsep.join(path for path in dict.fromkeys(paths) if path),
        "TZ": TIME_ZONE,
    }


def outward(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment with the machine's own proxies again, for whoever asks a package registry."""
    if OUTWARD not in environ:
        return dict(environ)
    kept = {name: value for name, value in environ.items() if name.upper() not in PROXIES}
    return {**kept, **json.loads(environ[OUTWARD])}


def forget_settings() -> None:
    """Let this process forget how the machine sets up the product."""
    _replace(without_settings(os.environ))


def enter() -> None:
    """Seclude this process and every one that it starts, for good."""
    _replace(secluded(os.environ))
    time.tzset()
    # No audit hook, though it would see more: one in Python also runs inside `sys.settrace`, and
    # up to 3.11 another thread that starts just then dies of it (python/cpython#98257).
    for module in (socket, _socket):
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            _guard(module, name, _looked_up)
    for name in ("connect", "connect_ex", "sendto"):
        _guard(socket.socket, name, _sent_to)
    _guard(socket.socket, "sendmsg", _message_sent_to)


def _replace(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _guard(owner: object, name: str, host_of: Callable[..., object]) -> None:
    """Refuse every call of this function that would leave this machine."""
    call = getattr(owner, name)

    @functools.wraps(call)
    def guarded(*arguments: object, **named: object) -> object:
        host = host_of(*arguments, **named)
        if isinstance(host, bytes | str) and not _is_inside(host):
            outside = host.decode(errors="replace") if isinstance(host, bytes) else host
            attempts.append(outside)
            raise OutsideError(
                f"a test tried to reach {outside}; tests reach nothing but this machine, so give"
                " it a server on 127.0.0.1"
            )
        return call(*arguments, **named)

    setattr(owner, name, guarded)


def _looked_up(host: object, *_: object, **__: object) -> object:
    """The name that is asked for; an address need not be looked up."""
    return None if isinstance(host, bytes | str) and _parsed(host) is not None else host


def _sent_to(_: socket.socket, *arguments: object) -> object:
    """The host of the address, which comes last; a path is a socket of this machine."""
    address = arguments[-1] if arguments else None
    return address[0] if isinstance(address, tuple) and address else None


def _message_sent_to(one: socket.socket, *arguments: object) -> object:
    """As `_sent_to`, behind buffers, ancillary data and flags; without it one is connected."""
    return _sent_to(one, *arguments[3:])


def _is_inside(host: str | bytes) -> bool:
    name = host.decode(errors="replace") if isinstance(host, bytes) else host
    address = _parsed(host)
    if address is None:
        return name.lower() in ("", "localhost", socket.gethostname().lower())
    return address.is_loopback or address.is_unspecified


def _parsed(host: str | bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    name = host.decode(errors="replace") if isinstance(host, bytes) else host
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
