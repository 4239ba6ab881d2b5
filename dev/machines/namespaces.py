"""Machines that are namespaces of Linux: a network, a host name and process numbers of their own.

All hang on one bridge, within the network that the run itself has (`dev.machines.enclosure`).
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]  # It ships no types.

from dev.machines.machine import Machine, MachineError

SUBNET = "10.99.0"
GATE = f"{SUBNET}.254"
_BRIDGE = "machines"
# It reaps what is left to it, as the first process of a machine must.
_INIT = "hostname {host}; while :; do sleep 3600 & wait $!; done"
_START_SECONDS_MAX = 5.0


def open_network() -> None:
    """Make the bridge, and our own place on it; the one of a run before this goes."""
    with contextlib.suppress(MachineError):
        _ip("link", "del", _BRIDGE)
    _ip("link", "set", "lo", "up")
    _ip("link", "add", _BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{GATE}/24", "dev", _BRIDGE)
    _ip("link", "set", _BRIDGE, "up")


@dataclass(eq=False, slots=True)
class Namespace(Machine):
    """A machine with a link to the bridge; `host` is its name, which others may have too."""

    host: str = ""
    _outer: subprocess.Popen[bytes] | None = None
    _init: int = 0

    def cut(self) -> None:
        """Cut its link: what is sent to it is not answered, not even by a refusal."""
        if self._outer is not None:
            _ip("link", "set", self.name, "down")

    def join(self) -> None:
        """Mend its link."""
        if self._outer is not None:
            _ip("link", "set", self.name, "up")

    @contextlib.contextmanager
    def without_route_to(self, addresses: Sequence[str]) -> Iterator[None]:
        """Let it reach none of these; what they send arrives, and is never answered."""
        for address in addresses:
            self._inside("ip", "route", "add", "blackhole", f"{address}/32")
        try:
            yield
        finally:
            for address in addresses:
                self._inside("ip", "route", "del", "blackhole", f"{address}/32")

    def _connect(self) -> None:
        """Make its namespaces, with the same address and the same card as ever."""
        words = ("unshare", "--net", "--uts", "--ipc", "--pid", "--mount", "--fork", "--mount-proc")
        script = _INIT.format(host=self.host or self.name)
        self._outer = subprocess.Popen(  # noqa: S603 - our own words.
            (  # noqa: S607 - found on PATH before.
                "setpriv",
                "--pdeathsig",
                "KILL",
                *words,
                "--kill-child",
                "sh",
                "-c",
                script,
            ),
            stdin=subprocess.DEVNULL,
            # It only says that it was killed.
            stderr=subprocess.DEVNULL,
        )
        self._init = self._first_process(self._outer.pid)
        last = self.address.rpartition(".")[2]
        # One that was lost a moment ago may not be quite gone.
        with contextlib.suppress(MachineError):
            _ip("link", "del", self.name)
        peer = ("peer", "name", "eth0", "netns", str(self._init))
        _ip("link", "add", self.name, "type", "veth", *peer)
        _ip("link", "set", self.name, "master", _BRIDGE, "up")
        self._inside("ip", "link", "set", "lo", "up")
        self._inside("ip", "link", "set", "eth0", "address", f"02:00:00:00:00:{int(last):02x}")
        self._inside("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self._inside("ip", "link", "set", "eth0", "up")

    def _first_process(self, outer: int) -> int:
        deadline = time.monotonic() + _START_SECONDS_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(psutil.Error, OSError):
                for child in psutil.Process(outer).children():
                    # Before this it is not in the new network yet.
                    if child.name() == "sh" and _space(child.pid) != _space(os.getpid()):
                        return int(child.pid)
            time.sleep(0.01)
        raise MachineError(f"{self.name}: its first process does not start")

    def _inside(self, *words: str) -> None:
        _run(*self._enter(), *words)

    def _enter(self) -> list[str]:
        spaces = ("--net", "--uts", "--ipc", "--pid", "--mount")
        return ["nsenter", "--target", str(self._init), *spaces, "--"]

    def _parent(self) -> int:
        """Who started it is not to be seen from within."""
        return 0

    def _leader(self, process: subprocess.Popen[bytes]) -> psutil.Process:
        """The program itself: whoever enters a process space leaves a child there."""
        return psutil.Process(process.pid).children()[0]

    def _processes(self) -> list[psutil.Process]:
        space = _space(self._init)
        found = []
        for pid in psutil.pids():
            with contextlib.suppress(OSError, psutil.Error):
                if _space(pid) == space:
                    found.append(psutil.Process(pid))
        return found

    def _end_all(self) -> None:
        """With its first process the kernel ends every other one of the machine."""
        if self._outer is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._init, signal.SIGKILL)
        self._outer.wait()
        self._outer = None


def _space(pid: int) -> int:
    return os.stat(f"/proc/{pid}/ns/pid").st_ino  # noqa: PTH116 - a file of the kernel's.


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - ours.
    if done.returncode:
        raise MachineError(f"{' '.join(words)}: {done.stderr.strip()}")
