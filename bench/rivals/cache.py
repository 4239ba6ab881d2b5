"""Packages of rivals, in a folder of their own: no lock of ours holds them, nothing imports them.

A folder is made once, whole or not at all; another set of packages gets another folder.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.place import ROOT
from dev.checks.seclusion import outward

# Ignored by git.
CACHE = ROOT / ".bench"
INSTALL_SECONDS_MAX = 300.0


class UnavailableError(Exception):
    """A rival cannot be had on this machine; the text says why."""


def node_folder(packages: Sequence[str]) -> Path:
    """A folder with these npm packages. Raises `UnavailableError`."""
    if not (shutil.which("npm") and shutil.which("node")):
        raise UnavailableError("node and npm are not installed")

    def make(folder: Path) -> None:
        (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        options = ("--no-audit", "--no-fund", "--ignore-scripts", "--save-exact")
        install(("npm", "install", *options, *packages), folder)

    return made("node", packages, make)


def python_folder(packages: Sequence[str]) -> Path:
    """A virtual environment with these packages. Raises `UnavailableError`."""

    def make(folder: Path) -> None:
        install((sys.executable, "-m", "venv", str(folder)), folder)
        options = ("--quiet", "--disable-pip-version-check", "--only-binary", ":all:")
        # By its module: the scripts still name the folder that it is made in.
        python = str(folder / "bin" / "python")
        install((python, "-m", "pip", "install", *options, *packages), folder)

    return made("python", packages, make)


def made(kind: str, packages: Sequence[str], make: Callable[[Path], None]) -> Path:
    """The folder of these packages, which `make` fills in another one where there is none."""
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    folder = CACHE / f"{kind}-{digest}"
    if folder.is_dir():
        return folder
    CACHE.mkdir(exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix="making-", dir=CACHE))
    try:
        make(unfinished)
        # Who was faster has made the same.
        if not folder.is_dir():
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def install(command: Sequence[str], folder: Path) -> None:
    """Run an installer in a folder. Raises `UnavailableError` with the last thing that it said."""
    # Where tests ask for it, they are shut in; a registry is outside.
    environment = {name: text for name, text in outward(os.environ).items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(  # noqa: S603 - the command is our own.
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{command[0]} did not work: {error}") from error
    if done.returncode:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise UnavailableError(f"it could not be installed: {(said or ['no reason given'])[-1]}")
