"""Node's tools for checks and tests: installs what a folder's lock names, and runs it.

Where Node is absent or no registry answers, that is said and nothing fails: the product itself
never needs Node.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from dev.checks import seclusion

INSTALL = (
    *("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"),
    *("--fetch-retries=1", "--fetch-timeout=20000"),
)
VERSION_MIN = 20
INSTALL_SECONDS_MAX = 120.0
RUN_SECONDS_MAX = 60.0
# What npm says of a folder that is wrong in itself; anything else keeps it from the packages.
_WRONG_FOLDER = {"EUSAGE", "EINTEGRITY", "EJSONPARSE", "ERESOLVE", "EOTP"}
_CODE = re.compile(r"npm (?:error|ERR!) code (\w+)")


class NodeUnavailableError(Exception):
    """Node or the packages cannot be had here; the text says which and why."""


class NodeFailedError(Exception):
    """A tool found something wrong; the text is what it said."""


def install(
    folder: Path, command: Sequence[str] = INSTALL, *, seconds_max: float = INSTALL_SECONDS_MAX
) -> None:
    """Install what the folder's lock names, unless just that is installed.

    Raises `NodeUnavailableError`, or `NodeFailedError` when the lock does not fit the packages.
    """
    _require(command[0])
    stamp, wanted = folder / "node_modules" / ".installed", _fingerprint(folder)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    try:
        result = _run(folder, command, seconds_max)
    except subprocess.TimeoutExpired as error:
        raise NodeUnavailableError(f"npm had no answer within {seconds_max:g} s") from error
    if result.returncode:
        error_code = _CODE.search(result.stderr)
        if error_code and error_code[1] in _WRONG_FOLDER:
            raise NodeFailedError(result.stderr.strip())
        code = error_code[1] if error_code else f"status {result.returncode}"
        raise NodeUnavailableError(f"npm cannot get the packages ({code})")
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)


def run(folder: Path, *words: str, seconds_max: float = RUN_SECONDS_MAX) -> str:
    """What an installed tool prints; `words` begin with its name. Raises `NodeFailedError`."""
    tool = _installed(folder, words[0])
    try:
        result = _run(folder, (tool, *words[1:]), seconds_max)
    except subprocess.TimeoutExpired as error:
        raise NodeFailedError(f"{words[0]} did not end within {seconds_max:g} s") from error
    if result.returncode:
        said = f"{result.stdout}\n{result.stderr}".strip()
        raise NodeFailedError(f"{words[0]}: {said or f'status {result.returncode}'}")
    return result.stdout


def _require(installer: str) -> None:
    for tool in ("node", installer):
        if not shutil.which(tool):
            raise NodeUnavailableError(f"{tool} is not installed")
    version = machine_version()
    if version < VERSION_MIN:
        raise NodeUnavailableError(f"Node {VERSION_MIN} or newer is needed, this is {version}")


def machine_version() -> int:
    """The major version of the machine's Node; 0 where it does not tell."""
    output = _run(Path(), ("node", "--version"), RUN_SECONDS_MAX).stdout
    version = re.match(r"v(\d+)", output)
    return int(version[1]) if version else 0


def _installed(folder: Path, tool: str) -> str:
    """The tool of this folder's packages, or of those above it, else of the machine."""
    for above in (folder, *folder.parents):
        path = above / "node_modules" / ".bin" / tool
        if path.exists():
            return str(path)
    return tool


def _run(
    folder: Path, command: Sequence[str], seconds_max: float
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - the project's own tools.
        command,
        cwd=folder,
        env={**seclusion.outward(os.environ), "NO_COLOR": "1", "CI": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds_max,
    )


def _fingerprint(folder: Path) -> str:
    """Changes with whatever decides what is installed."""
    manifests = sorted(
        path
        for pattern in ("package.json", "package-lock.json", "*/package.json")
        for path in folder.glob(pattern)
        if "node_modules" not in path.parts
    )
    digest = hashlib.sha256()
    for path in manifests:
        digest.update(path.read_bytes())
    return digest.hexdigest()
