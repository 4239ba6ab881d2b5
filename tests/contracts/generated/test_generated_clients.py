"""Clients that generators make of the OpenAPI document keep every body, those of errors above all.

openapi-python-client and openapi-generator (for Python) are run on the document, and what they
make is called and answered with each of its examples. They come at pinned versions into `.bench/`;
where they cannot be had, the tests skip and say why.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.rivals.cache import UnavailableError, python_folder
from dev.checks import clients

CALLS = Path(__file__).with_name("call_client.py")
PACKAGES = (
    *("openapi-python-client==0.29.1", "openapi-generator-cli==7.26.0"),
    *("python-dateutil==4.0.0", "urllib3==2.8.0"),  # What the second one's clients need.
)
PACKAGE = "generated_billing"
SECONDS_MAX = 100
# What a client has to tell apart.
STATUSES = {400, 401, 402, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503}


@pytest.fixture(scope="module")
def python() -> Path:
    """A Python that has the generators, or a skipped test with the reason."""
    try:
        return python_folder(PACKAGES) / "bin" / "python"
    except UnavailableError as error:
        pytest.skip(str(error))


def run(*words: str | Path, at: Path) -> str:
    """Run a program to its end in a folder; returns what it printed."""
    done = subprocess.run(
        words,
        cwd=at,
        env={**os.environ, "PYTHONPATH": str(at)},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def test_openapi_python_client_keeps_every_body(python: Path, tmp_path: Path) -> None:
    """It warns of what it leaves out; there is nothing."""
    document = written(tmp_path)
    words = ("generate", "--meta", "none", "--path", document, "--output-path", tmp_path / PACKAGE)
    config = tmp_path / "config.yml"
    config.write_text("post_hooks: []\n", encoding="utf-8")
    said = run(python, "-m", "openapi_python_client", *words, "--config", config, at=tmp_path)
    assert "arning" not in said, said
    check("openapi-python-client", python, document)


def test_openapi_generator_keeps_every_body(python: Path, tmp_path: Path) -> None:
    """It refuses a document that is not valid in its eyes."""
    if shutil.which("java") is None:
        pytest.skip("openapi-generator needs java, which is not installed")
    document = written(tmp_path)
    run(
        *(python, "-c", "from openapi_generator_cli import cli; raise SystemExit(cli())"),
        *("generate", "-g", "python"),
        *("-i", document, "-o", tmp_path, "--package-name", PACKAGE),
        *("--global-property", "apis,models,supportingFiles"),
        at=tmp_path,
    )
    check("openapi-generator", python, document)


def written(folder: Path) -> Path:
    """The document as the receiver serves it, as a file."""
    path = folder / "openapi.json"
    path.write_text(clients.document(), encoding="utf-8")
    return path


def check(generator: str, python: Path, document: Path) -> None:
    """Each JSON answer becomes a class of the client's, and tells what was answered."""
    words = (CALLS, generator, document, PACKAGE)
    told: list[dict[str, Any]] = json.loads(run(python, *words, at=document.parent))
    typed = [one for one in told if isinstance(one["answered"], dict)]
    assert {one["status"] for one in typed if "code" in one["answered"]} >= STATUSES
    for one in typed:
        assert one["class"] not in ("NoneType", "dict"), one
        kept = {name: one["told"].get(name, "nothing") for name in one["answered"]}
        # Times of other answers are written in another form of ISO 8601.
        assert one["status"] < 400 or kept == one["answered"], one
