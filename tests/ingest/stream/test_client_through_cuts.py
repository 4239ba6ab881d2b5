"""Our TypeScript client reads a stream on a way that is cut again and again, and misses nothing.

Skipped where Node or its packages cannot be had; receiver, stores and way are real.
"""

import json
import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dev.checks import node
from tests.cutting_proxy import cutting
from tests.ingest.stream.live import ROOT, as_user, running

CLIENTS = ROOT / "clients"
LISTEN = ROOT / "tests" / "node" / "listen.js"
TROUBLE_SECONDS = 10.0
HEARD_SECONDS_MAX = 40.0
TOLD_MIN, PASSED_MIN = 100, 2

Json = dict[str, Any]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client as browsers get it."""
    folder = tmp_path_factory.mktemp("client")
    try:
        node.install(CLIENTS)
    except node.NodeUnavailableError as error:
        pytest.skip(str(error))
    node.run(CLIENTS / "typescript", "tsc", "--outDir", str(folder))
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(CLIENTS / "node_modules")
    return folder / "index.js"


@contextmanager
def listening(built: Path, port: int, user: str) -> Iterator[list[Json]]:
    """A page in Node that listens; whatever it is told, as it is told."""
    token = as_user(user)["Authorization"].removeprefix("Bearer ")
    heard: list[Json] = []
    program = shutil.which("node") or "node"
    with subprocess.Popen(
        [
            program,
            str(LISTEN),
            str(built),
            f"http://127.0.0.1:{port}",
            token,
        ],
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        lines = process.stdout

        def read() -> None:
            for line in lines:
                heard.append(json.loads(line))

        reader = threading.Thread(target=read)
        reader.start()
        yield heard
        process.kill()
        reader.join()


def versions(heard: list[Json]) -> list[int]:
    """The versions of the messages that the page was told, in that order."""
    return [told["version"] for told in heard if "version" in told]


@pytest.mark.timeout(120)
def test_each_change_comes_once_and_in_order_however_often_the_way_is_cut(
    database_url: str, redis_url: str, tmp_path: Path, built: Path
) -> None:
    """Cut while nothing comes, while much comes, and closed for a moment."""
    chance = random.Random(12)  # noqa: S311 - moments.
    with (
        running(database_url, redis_url, tmp_path) as receiver,
        cutting(receiver.port) as way,
        listening(built, way.port, "user_20") as heard,
    ):
        until(lambda: {"refresh": True} in heard)
        told, began = 0, time.monotonic()

        def is_enough() -> bool:
            """A slow machine and a client that waits long see as much of it as a fast one."""
            took = time.monotonic() - began
            had_trouble = told > TOLD_MIN and way.passed > PASSED_MIN
            return took > TROUBLE_SECONDS and (had_trouble or took > HEARD_SECONDS_MAX)

        while not is_enough():
            for _ in range(chance.choice([1, 1, 5, 40])):
                receiver.tell("user_20", hint=chance.random() < 0.8)
                told += 1
            way.closed = chance.random() < 0.2
            if chance.random() < 0.1:
                way.cut()
            time.sleep(chance.uniform(0.0, 0.3))
        way.closed = False
        until(lambda: versions(heard)[-1:] == [told])
    assert versions(heard) == list(range(1, told + 1))
    assert told > TOLD_MIN
    assert way.passed > PASSED_MIN, "it was hardly ever cut"


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what the page is told."""
    deadline = time.monotonic() + HEARD_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
