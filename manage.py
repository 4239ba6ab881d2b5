#!/usr/bin/env python3
"""The front door: makes the environment if there is none, then hands over to `workers.commands`.

Standard library only. Where the running Python has the packages (a container, an active
environment) it runs at once and installs nothing; otherwise it keeps a `.venv` beside this file in
step with a lock file. It never touches the system's own packages.
"""

from __future__ import annotations  # Lets a Python that is too old read on and say so.

import contextlib
import fcntl
import glob
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MINIMUM = (3, 11)
KNOWN_GOOD = ("3.13", "3.12", "3.11")
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
# Each lock holds everything the ones before it hold.
LOCKS = ("production", "up", "test")
PIP_WHEELS = "/usr/share/python-wheels/pip-*.whl"
PIP_WITH_PYTHON_OPTION = (22, 3)


class Trouble(Exception):  # noqa: N818 - it is shown to a person, who has trouble.
    """What is wrong, in one line, with what to do."""


def main() -> None:
    """Run the command in an environment that can, making it first where need be."""
    if sys.version_info < MINIMUM:
        use_newer_python()
    sys.path[:1] = [str(ROOT)]
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if not in_venv() and prepared(lock_to_run(command)):
        hand_over()
    if not installed(lock_to_run(command)):
        if "_MANAGE_PY_COMPLETE" in os.environ:
            raise SystemExit(1)  # Who presses Tab does not want to wait for packages.
        with alone():
            if not installed(lock_to_run(command)):
                install("test" if lock_to_run(command) == "test" else "up")
    if in_venv():
        hand_over()
    os.execv(VENV_PYTHON, [str(VENV_PYTHON), str(ROOT / "manage.py"), *sys.argv[1:]])  # noqa: S606 - our own.


def hand_over() -> None:
    """Run the command here; it ends the process."""
    from workers.commands.command_line import main as run  # noqa: PLC0415 - importable only by now.

    run()
    raise SystemExit(0)


def lock_to_run(command: str) -> str:
    """The smallest lock that holds what a command imports."""
    from workers.commands import COMMANDS  # noqa: PLC0415 - found on the path by now.

    lock = COMMANDS[command].lock if command in COMMANDS else "production"
    has_servers = os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")
    return "production" if lock == "up" and has_servers else lock


def in_venv() -> bool:
    """Whether the Python that runs is the one of `.venv`."""
    return Path(sys.prefix).resolve() == VENV.resolve()


def prepared(lock: str) -> bool:
    """Whether the Python that runs has every package of a lock, whichever way it got them."""
    text = lock_path(lock).read_text(encoding="utf-8")
    for line in text.splitlines():
        name = re.match(r"([\w.-]+)==", line)
        if name and ";" not in line:  # Those with a condition may not belong here.
            try:
                importlib.metadata.distribution(name.group(1))
            except importlib.metadata.PackageNotFoundError:
                return False
    return True


def lock_path(lock: str) -> Path:
    """The file of a lock."""
    return ROOT / "locks" / f"{lock}.txt"


def fingerprint(lock: str) -> dict[str, str]:
    """What the stamp says of an environment that was made from a lock as it is now."""
    digest = hashlib.sha256(lock_path(lock).read_bytes()).hexdigest()
    version = "{}.{}".format(*sys.version_info[:2])
    return {"lock": lock, "sha256": digest, "python": version}


def stamp() -> dict[str, str]:
    """What `.venv` was made from; empty where that is unknown or was never finished."""
    with contextlib.suppress(OSError, ValueError):
        if VENV_PYTHON.exists():
            return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    return {}


def installed(lock: str) -> bool:
    """Whether `.venv` is finished and holds a lock, or a larger one, as it is now."""
    made = stamp()
    larger = LOCKS[LOCKS.index(lock) :]
    version = made.get("python", "")
    return any(made == {**fingerprint(name), "python": version} for name in larger) and (
        (VENV / "lib" / f"python{version}").is_dir()
        and (not in_venv() or version == "{}.{}".format(*sys.version_info[:2]))
    )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one process at a time install; the directory itself is what they lock."""
    descriptor = os.open(str(ROOT), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def install(lock: str) -> None:
    """Bring `.venv` in step with a lock; the stamp comes last, so half of one counts as none."""
    made = stamp()
    if made.get("lock") == "test":
        lock = "test"  # Never take away what the tests need.
    size = "a minute" if lock == "test" else "half a minute"
    say(f"installing locks/{lock}.txt into .venv (once, about {size}) ...")
    try:
        if not made or made.get("python") != fingerprint(lock)["python"]:
            make_venv()
        STAMP.unlink(missing_ok=True)
        run_installer(lock)
        STAMP.write_text(json.dumps(fingerprint(lock)), encoding="utf-8")
    except OSError as error:
        raise Trouble(
            f"cannot write {VENV}: {error.strerror or error}; use a copy of the project that you "
            "may write to, or a Python that has the packages of locks/up.txt"
        ) from error


def make_venv() -> None:
    """Make an empty environment. Started from inside the old one, go round through its base."""
    if in_venv():
        base = getattr(sys, "_base_executable", sys.executable)
        shutil.rmtree(VENV)
        os.execv(base, [base, str(ROOT / "manage.py"), *sys.argv[1:]])  # noqa: S606 - our own.
    try:
        import venv  # noqa: PLC0415 - some distributions ship it separately.
    except ImportError:
        raise Trouble("this Python has no venv module; install python3-venv") from None
    if VENV.is_symlink() or VENV.is_file():
        VENV.unlink()
    # Without pip: an outer one can serve, and the bundled one may be missing.
    venv.EnvBuilder(clear=True, symlinks=True, with_pip=False).create(str(VENV))


def run_installer(lock: str) -> None:
    """Install a lock into `.venv` with the first pip, or uv, that works."""
    options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command = [*installer(), "install", *options, "-r", str(lock_path(lock))]
    result = attempt(command)
    if result.returncode != 0:
        lines = [line.strip() for line in result.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines or ["no reason given"]
        raise Trouble(f"installing locks/{lock}.txt failed: {errors[-1]}")


def installer() -> list[str]:
    """The command line of something that installs into `.venv`; raises `Trouble` without one."""
    python = str(VENV_PYTHON)
    for pip in ([sys.executable, "-m", "pip"], ["pip3"], ["pip"]):
        if pip_version(pip) >= PIP_WITH_PYTHON_OPTION:
            return [*pip, "--python", python]
    if (
        importlib.util.find_spec("ensurepip")
        and not attempt([python, "-m", "ensurepip"]).returncode
    ):
        return [python, "-m", "pip"]
    for wheel in sorted(glob.glob(PIP_WHEELS), reverse=True):  # noqa: PTH207 - an absolute pattern.
        if pip_version([python, f"{wheel}/pip"]):
            return [python, f"{wheel}/pip"]
    if (
        shutil.which("virtualenv")
        and not attempt(["virtualenv", "-p", python, str(VENV)]).returncode
    ):
        return [python, "-m", "pip"]
    if shutil.which("uv"):
        os.environ["VIRTUAL_ENV"] = str(VENV)
        return ["uv", "pip"]
    raise Trouble("this Python has no pip to install with; install python3-venv or python3-pip")


def pip_version(pip: list[str]) -> tuple[int, ...]:
    """The version of a pip; empty where it does not run."""
    if not shutil.which(pip[0]):
        return ()
    result = attempt([*pip, "--version"])
    found = re.match(r"pip (\d+)\.(\d+)", result.stdout)
    return tuple(map(int, found.groups())) if found and not result.returncode else ()


def attempt(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run an installer, keeping its words; settings that would lead it elsewhere are undone."""
    environment = {**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    for name in ("PIP_TARGET", "PIP_PREFIX", "PYTHONHOME"):
        environment.pop(name, None)
    return subprocess.run(  # noqa: S603 - the words are this module's own.
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def use_newer_python() -> None:
    """Start again with a Python that is new enough, or say that one is needed."""
    for version in KNOWN_GOOD:
        found = shutil.which("python" + version)
        # A found one may be a version switcher's stand-in for a Python that is not there.
        if found and not attempt([found, "-c", "import venv"]).returncode:
            os.execv(found, [found, str(ROOT / "manage.py"), *sys.argv[1:]])  # noqa: S606 - our own.
    have = "{}.{}".format(*sys.version_info[:2])
    raise Trouble(f"Python 3.11 or newer is needed, this is {have}; install one and run it")


def say(text: str) -> None:
    """Tell the person something, apart from the command's own output."""
    print(f"manage.py: {text}", file=sys.stderr, flush=True)  # noqa: T201 - a command's own output.


if __name__ == "__main__":
    try:
        main()
    except Trouble as trouble:
        say(str(trouble))
        sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted; run it again, and it goes on")
        sys.exit(130)
