"""The machines of the run: what is lost with one, and what the page says of a run."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dev.faults.product import ROOT
from dev.faults.verdict import Verdict
from dev.machines import enclosure
from dev.machines.machine import Machine
from dev.machines.report import document
from dev.machines.run import Happened, Outcome
from dev.machines.sender import Answers

VERDICT = Verdict(
    events=10,
    deliveries=13,
    answers={200: 13, 503: 4},
    wrong_answers={},
    accepted=10,
    statuses={"applied": 10},
    lost=0,
    strangers=0,
    doubled=0,
    users=3,
    wrong_users=0,
    audit_differences=0,
    longest_delay_seconds=21.4,
    median_delay_seconds=0.05,
    slowest="",
    examples=(),
)
CLEAN = Outcome(
    seed=1,
    broker="redis",
    rate=40.0,
    happened=[Happened("w1 (worker) killed, back after 2 s", 3.2, 120, 21.4)],
    skipped=["RabbitMQ: Redis is the broker"],
    seconds=60.0,
    verdict=VERDICT,
    failed=0,
    unfinished=1,
    late_answers=[],
    slowest_answer_seconds=0.4,
)
LATE = replace(VERDICT, longest_delay_seconds=30.1)


def test_a_run_in_which_every_promise_was_kept_is_clean() -> None:
    """However much was lost."""
    assert CLEAN.is_clean


@pytest.mark.parametrize(
    "spoiled",
    [
        replace(CLEAN, failed=1),
        replace(CLEAN, late_answers=["r1 after 6.2 s: 503"]),
        replace(CLEAN, verdict=LATE),
        replace(CLEAN, verdict=replace(VERDICT, lost=1)),
    ],
)
def test_one_broken_promise_is_enough(spoiled: Outcome) -> None:
    """A failed try, a late answer, an event that waited, one that is gone."""
    assert not spoiled.is_clean


def test_the_page_tells_what_happened_and_what_did_not() -> None:
    """In the order of the run, and with the reason."""
    page = document([CLEAN], ["no RabbitMQ here"], backlog=150.0)
    assert "| w1 (worker) killed, back after 2 s | 3.20 | 120 | 21.40 |" in page
    assert "- no RabbitMQ here\n- RabbitMQ: Redis is the broker" in page
    assert max(map(len, page.partition("##")[0].splitlines())) < 200


def test_who_was_lost_is_excused_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the loss until it has had time to begin again."""
    now = 1_000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    lost, well = (Machine(name, "127.0.1.1", tmp_path) for name in ("r1", "r2"))
    answers = Answers()
    place = answers.disturb(lost)
    answers.note(lost, now - 7, "timeout")
    answers.note(well, now - 7, "timeout")
    assert answers.late == ["r2 after 7.0 s: timeout"]
    answers.settle(lost, place)
    now += 60
    answers.note(lost, now - 6.5, "503")
    answers.note(lost, now - 5.5, "503")
    assert answers.late[1:] == ["r1 after 6.5 s: 503"]


SCRIPT = """
import contextlib, os, sys, time, urllib.request
from pathlib import Path
from dev.machines import namespaces
from dev.machines.machine import Service, Supervisor

namespaces.open_network()
place = Path(sys.argv[1])
one, two = (namespaces.Namespace(f"w{n}", f"10.99.0.{n}", place, host="worker") for n in (1, 2))
for machine in (one, two):
    words = (sys.executable, "-m", "http.server", "8000", "--bind", machine.address)
    machine.services.append(Service("web", words, {}, place / f"{machine.name}.log"))

def answers(machine, seconds=1.0):
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(f"http://{machine.address}:8000", timeout=seconds).status
    return None

def soon(machine):
    return any(answers(machine) or time.sleep(0.1) for _ in range(100))

def refuses(machine):
    began = time.monotonic()
    return not answers(machine, seconds=2.0) and time.monotonic() - began < 1.5

with Supervisor([one, two]):
    one.begin(), two.begin()
    assert soon(one) and soon(two)
    said = [each.once("/bin/sh", "-c", "hostname; echo $$", environment={}) for each in (one, two)]
    assert said[0].split()[0] == "worker" and said[0].split() == said[1].split(), said
    one.stop()
    assert not answers(one) and answers(two)
    one.go_on()
    assert answers(one)
    with one.without_route_to([namespaces.GATE]):
        assert not answers(one)
    assert answers(one)
    one.services[0].process.kill()
    for process in one._processes():
        if "python" in process.name():
            process.kill()
    assert refuses(one) and soon(one)
    one.kill(silently=True)
    assert not answers(one) and not refuses(one) and answers(two)
    one.begin()
    assert soon(one)
    one.end(one.services[0])
    time.sleep(1.5)
    assert refuses(one)
    one.kill(), two.kill()
print("well")
"""


@pytest.mark.faults
@pytest.mark.skipif(bool(enclosure.reason_against()), reason="no networks of their own here")
def test_a_machine_is_lost_as_a_whole(tmp_path: Path) -> None:
    """Stopped, unreachable, gone without a word, and back; what has ended is started again."""
    done = subprocess.run(
        ["unshare", "--net", "--", sys.executable, "-c", SCRIPT, str(tmp_path)],  # noqa: S607 - found on PATH.
        cwd=ROOT,
        # Without the proxies that tests have.
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "well\n", done.stderr
