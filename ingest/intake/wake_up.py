"""Sends wake-ups from a thread of its own: a broker that hangs holds up no event."""

import threading
from collections.abc import Callable

import telemetry

_log = telemetry.get_logger("ingest.intake.wake_up")


class BackgroundWakeUp:
    """Asks for a drain soon after it is called; calls that come before that are one.

    The thread begins with the first call, so that one of these may be made before a fork.
    """

    def __init__(self, send: Callable[[], object]) -> None:
        """`send` may block and may fail: the sweep makes up for it."""
        self._send = send
        self._requested = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Ask for a drain; returns at once."""
        self._requested.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._go_on, name="wake-up", daemon=True)
                    self._thread.start()

    def _go_on(self) -> None:
        while True:
            self._requested.wait()
            self._requested.clear()
            try:
                self._send()
            except Exception as error:  # noqa: BLE001 - brokers fail in many ways; the sweep finds what is stored.
                _log.warning("wake-up not sent", error=type(error).__name__)
