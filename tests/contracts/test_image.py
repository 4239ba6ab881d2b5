"""The image's steps without an engine: what goes in, what is installed, who runs it, on what."""

import contextlib
import fnmatch
import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dev.up.ports import free_port
from tests.ingest.builders import JWT_SECRET, SECRET

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
# The number that the image runs as.
USER = int(re.findall(r"^USER (\d+):", DOCKERFILE, flags=re.MULTILINE)[0])
START_SECONDS_MAX = 30.0


def copies() -> Iterator[tuple[str, str]]:
    """What the second stage copies out of the project, and where to."""
    for line in DOCKERFILE.splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--") and words[-1][0] != "/":
            for source in words[1:-1]:
                yield source, source if words[-1] == "./" else words[-1]


def is_let_in(path: str) -> bool:
    """Whether .dockerignore leaves a file in the context: the last line that fits decides."""
    let_in = True
    for line in IGNORED:
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        places = [path, *(str(parent) for parent in Path(path).parents)]
        names = [Path(place).name for place in places] if "**/" in line else places
        if any(fnmatch.fnmatchcase(name, pattern) for name in names):
            let_in = line.startswith("!")
    return let_in


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """The image's /app: copied by the Dockerfile from what .dockerignore lets in, compiled.

    Nobody may write in it, and everybody may read it.
    """
    place = Path(tempfile.mkdtemp(prefix="billing-image-"))
    for source, target in copies():
        files = [ROOT / source] if (ROOT / source).is_file() else (ROOT / source).rglob("*")
        for file in files:
            inside = file.relative_to(ROOT)
            if file.is_file() and is_let_in(str(inside)):
                copied = place / target / inside.relative_to(source)
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copied if source != str(inside) else place / target)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(place)], check=True)
    for path in [place, *place.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield place
    for path in [place, *place.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(place)


def as_nobody(*words: str) -> Sequence[str]:
    """A command as the image's user; who may not become another user runs it as who they are.

    The interpreter may lie where that user may not look; reading alone is made possible.
    """
    setpriv = shutil.which("setpriv")
    if os.getuid() != 0 or setpriv is None:
        return [sys.executable, *words]
    user = [f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"]
    reading = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    bounds = ["--bounding-set=-all,+dac_read_search"]
    return [setpriv, *user, *reading, *bounds, sys.executable, *words]


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    """What a process of the image finds."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATABASE_URL": database_url.replace("+psycopg2", ""),
        "REDIS_URL": redis_url,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_BASE": "http://127.0.0.1:1",
        "JWT_SECRET": JWT_SECRET,
        "INTAKE": "stream",
        "PORT": str(free_port()),
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("manage.py", True),
        ("db/dictionaries/32768.zdict", True),
        ("db/__pycache__/bodies.cpython-313.pyc", False),
        ("locks/production.txt", True),
        (".env", False),
        (".data/dev.env", False),
        ("tests/conftest.py", False),
        ("dev/up/up.py", False),
    ],
)
def test_what_the_context_holds(path: str, *, expected: bool) -> None:
    """Code, and never a secret or what is only for development."""
    assert is_let_in(path) is expected


def test_everything_that_is_copied_is_in_the_context() -> None:
    """A COPY of what .dockerignore keeps out ends the build."""
    named = [source for source, _ in copies()]
    named += re.findall(r"^COPY (locks/\S+) /", DOCKERFILE, flags=re.MULTILINE)
    assert named
    for source in named:
        place = ROOT / source
        files = [place] if place.is_file() else [*place.rglob("*.py")]
        assert files
        assert [each for each in files if not is_let_in(str(each.relative_to(ROOT)))] == []


def test_the_lock_of_the_image_is_what_the_tests_run_with() -> None:
    """Version by version, each with a hash; what a marker leaves out here is not asked for."""
    lock = (ROOT / "locks" / "production.txt").read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in lock.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) > 20
    for line in lines:
        assert "--hash=sha256:" in line, line
        pinned = line.split("--hash")[0].strip()
        name, _, rest = pinned.partition("==")
        if ";" not in rest:
            assert importlib.metadata.version(name) == rest.strip(), name


def test_it_migrates_and_serves_as_nobody_on_what_nobody_can_write(
    image: Path, environment: dict[str, str]
) -> None:
    """By the image's own entry point and command; its own health check is content."""
    entry = re.findall(r'^ENTRYPOINT \["python", "([^"]+)"\]', DOCKERFILE, flags=re.MULTILINE)
    command = re.findall(r'^CMD \["([^"]+)"\]', DOCKERFILE, flags=re.MULTILINE)
    check = re.findall(r'CMD \["python", "-c", "([^"]+)"\]', DOCKERFILE)
    assert (len(entry), len(command), len(check)) == (1, 1, 1)
    migrated = run(image, environment, entry[0], "migrate")
    assert migrated.returncode == 0, migrated.stderr
    words = as_nobody(entry[0], command[0])
    with subprocess.Popen(words, cwd=image, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            await_ready(int(environment["PORT"]))
            program = check[0].replace(":8000/", f":{environment['PORT']}/")
            healthy = run(image, environment, "-c", program)
            assert healthy.returncode == 0, healthy.stderr
        finally:
            process.terminate()


def test_it_can_write_nowhere_in_itself(image: Path, environment: dict[str, str]) -> None:
    """Not even where its code lies."""
    tried = run(image, environment, "-c", "open('db/written', 'w')")
    assert "PermissionError" in tried.stderr, shlex.join(tried.args)


def run(image: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run something in the image to its end."""
    return subprocess.run(
        as_nobody(*words), cwd=image, env=environment, capture_output=True, text=True, check=False
    )


def await_ready(port: int) -> None:
    """Return when the receiver can store an event durably."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2),
        ):
            return  # Any other answer than 200 is raised.
        time.sleep(0.2)
    pytest.fail("the image does not become ready")
