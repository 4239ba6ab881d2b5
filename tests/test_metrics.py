"""The counts' own door: several processes as one sum, and a port for roles that serve no HTTP."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import celery_config
import metrics
from dev.up.ports import free_port

# A worker's main process and two of its pool; the counts are asked for once those are gone.
SEVERAL = """
import os
import metrics
for _ in range(2):
    if not (child := os.fork()):
        metrics.event_received("invoice.paid", "stream")
        os._exit(0)
    os.waitpid(child, 0)
metrics.event_received("invoice.paid", "stream")
print(metrics.exposition().decode())
"""
RECEIVED = 'billing_events_received_total{intake="stream",type="invoice.paid"}'


def told_by_several(directory: Path) -> str:
    """What a main process tells of itself and its children, dead ones too."""
    result = subprocess.run(
        [sys.executable, "-c", SEVERAL],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


def test_processes_that_share_a_directory_are_one_sum(tmp_path: Path) -> None:
    """What a process counted stays counted when it is gone."""
    assert f"{RECEIVED} 3.0" in told_by_several(tmp_path)
    assert f"{RECEIVED} 6.0" in told_by_several(tmp_path)


def test_a_directory_is_emptied_before_a_start(tmp_path: Path) -> None:
    """Numbers of a process of yesterday with the same id must not be added to."""
    directory = tmp_path / "new" / "metrics"
    metrics.forget_dead(directory)
    told_by_several(directory)
    (directory / "kept.txt").touch()
    metrics.forget_dead(directory)
    assert [path.name for path in directory.iterdir()] == ["kept.txt"]


def test_a_role_without_http_answers_on_a_port_of_its_own() -> None:
    """Until it is told to stop."""
    port = free_port()
    stop = metrics.serve("127.0.0.1", port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert b"billing_tasks_sent_total" in answer.read()
    stop()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics")


@pytest.mark.parametrize("port", ["", "0", "9100"])
def test_the_port_is_the_one_that_is_set(
    port: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """None where none is; a port that cannot be had does not keep a worker from working."""
    asked: list[tuple[str, int]] = []

    def refuse(host: str, wanted: int) -> None:
        asked.append((host, wanted))
        raise OSError(98, "Address already in use")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METRICS_PORT", port)
    monkeypatch.setattr(metrics, "serve", refuse)
    celery_config.serve_metrics()
    assert asked == ([("127.0.0.1", 9100)] if port == "9100" else [])
