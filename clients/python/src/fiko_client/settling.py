"""What is common to settling a spool with and without an event loop, and a thread that does it."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from fiko_client.calls import user_of
from fiko_client.errors import FikoError
from fiko_client.spool import Spool, SpooledSpend, concerns_user, ends_settling

TokenFor = Callable[[str], str]

_CROSSED_OUT_TOGETHER = 20

_log = logging.getLogger("fiko_client")


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of settling: in the ledger now, waiting still, refused for good."""

    settled: int
    waiting: int
    refused: int


class Settling:
    """One round through a spool: who sends tells it what came of each spend."""

    def __init__(
        self, spool: Spool, token_for: TokenFor | None, own_token: Callable[[], str]
    ) -> None:
        self._spool = spool
        self._token_for = token_for
        self._own_token = own_token
        # A client for one user settles the spends of that user, and leaves those of others.
        self._own_user = None if token_for else user_of(own_token())
        self._settled = 0
        self._done: list[SpooledSpend] = []
        # Users of whom nothing is taken in this round, whatever it is.
        self._shut_out: set[str] = set()

    def token_of(self, spend: SpooledSpend) -> str | None:
        """The token to send a spend with; None where it is not to be sent in this round."""
        if spend.user in self._shut_out:
            return None
        # Asked for each time: a long round may outlive a token.
        if self._token_for is not None:
            return self._token_for(spend.user)
        return self._own_token() if spend.user == self._own_user else None

    def done(self, spend: SpooledSpend) -> None:
        """It is in the ledger; it is crossed out with the next ones, which saves waits for disks.

        Who dies before that sends them once more, and nothing more is spent.
        """
        self._done.append(spend)
        self._settled += 1
        if len(self._done) >= _CROSSED_OUT_TOGETHER:
            self.finish()

    def finish(self) -> None:
        """Cross out what is in the ledger; to be called at the end, however it comes."""
        done, self._done = self._done, []
        if done:
            self._spool.remove(*done)

    def failed(self, spend: SpooledSpend, error: FikoError) -> bool:
        """It was not taken; returns whether to go on with the next."""
        if ends_settling(error):
            return False
        _log.warning("a spooled spend was not taken: %s", error.code)
        if concerns_user(error):
            self._shut_out.add(spend.user)
        self._spool.postpone(spend, error)
        return True

    @property
    def outcome(self) -> Settled:
        """What came of it."""
        return Settled(self._settled, len(self._spool), len(self._spool.refused()))


class SettlingThread:
    """Settles a spool every few seconds for as long as a block runs, and once more at its end."""

    def __init__(self, settle: Callable[[], Settled], every: float) -> None:
        self._settle = settle
        self._every = every
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fiko-settling", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, after the round under way; what still waits stays on disk."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self._every):
            self._round()
        self._round()

    def _round(self) -> None:
        try:
            self._settle()
        except Exception:  # noqa: BLE001 - the next round may go well; the spends are on disk.
            _log.exception("settling failed; it is tried again")
