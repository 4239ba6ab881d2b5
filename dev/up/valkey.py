"""The embedded Valkey, a Redis-compatible server, set to lose nothing it has acknowledged."""

import os
import signal
from pathlib import Path
from typing import ClassVar

import redis

from dev.up.engine import Engine
from dev.up.files import write_private
from dev.up.processes import Account
from dev.up.suppliers import valkey_server

PROBE_TIMEOUT_SECONDS = 2.0

SETTINGS = """\
bind 127.0.0.1
daemonize no
databases 64
appendonly yes
appendfsync always
save ""
maxmemory 512mb
maxmemory-policy noeviction
tcp-keepalive 30
always-show-logo no
"""


class ValkeyEngine(Engine):
    """Valkey with every write on disk before it is answered, and a password.

    It is as durable with `durable=False`: the receiver asks the server for these very settings.
    """

    name: ClassVar = "valkey"
    title: ClassVar = "Valkey"
    stop_steps: ClassVar = ((signal.SIGTERM, 10.0),)

    @property
    def url(self) -> str:
        """`redis://…` for logical database 0."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """`redis://…` for one of the 64 logical databases."""
        return f"redis://:{self.address.password}@127.0.0.1:{self.address.port}/{database}"

    def _prepare(self, account: Account | None) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        # In a file, because a command line can be read by every user of the machine.
        write_private(self._settings_path, self._settings())
        if account:
            os.chown(self.home, account.uid, account.gid)
            os.chown(self._settings_path, account.uid, account.gid)

    @property
    def _settings_path(self) -> Path:
        return self.home / "valkey.conf"

    def _settings(self) -> str:
        quoted = str(self.home).replace("\\", "\\\\").replace('"', '\\"')
        return (
            f"{SETTINGS}port {self.address.port}\n"
            f"requirepass {self.address.password}\n"
            f'dir "{quoted}"\n'
        )

    def _command(self) -> list[str]:
        return [str(valkey_server()), str(self._settings_path)]

    def _answers(self) -> bool:
        client = redis.Redis.from_url(
            self.url,
            socket_timeout=PROBE_TIMEOUT_SECONDS,
            socket_connect_timeout=PROBE_TIMEOUT_SECONDS,
            retry=None,
        )
        try:
            return bool(client.ping())
        except redis.RedisError:  # Not listening yet, or still reading its file.
            return False
        finally:
            client.close()
