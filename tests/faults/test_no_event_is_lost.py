"""The promise under real faults: what was answered 2xx is applied once, and everyone has their due.

Each test runs the whole product in a directory of its own and breaks it with SIGKILL, SIGSTOP,
locks and shortages; `dev.faults` has the faults and the judges. Of the broken builds that they must
find out, `test` has those that lose events, `test --faults-long` those that tell them wrongly.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

from dev.faults.disk import NoDiskError
from dev.faults.kinds import DISK, GROUPS, KILLS, STRIPE
from dev.faults.log import warned
from dev.faults.product import ROOT
from dev.faults.run import Outcome, Plan, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals processes by /proc")

LOG = "product.log"
SEED = int(os.environ.get("FAULTS_SEED", "20261123"))
MID_TRANSACTION = next(each for each in KILLS if each.title.endswith("killed mid-transaction"))
AMID_PACKETS = next(each for each in KILLS if each.title == "receiver killed amid packets")


def explained(outcome: Outcome, directory: Path) -> str:
    """What to know of a run that failed, and what went wrong while the slowest event waited."""
    said = warned(directory / LOG, *outcome.verdict.slowest_between)
    return "\n".join([f"FAULTS_SEED={outcome.seed}", str(outcome.verdict), *said])


@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", GROUPS)
def test_every_accepted_event_is_applied_once_whatever_breaks(group: str, tmp_path: Path) -> None:
    """Kills, absences, stops of 10 s and shortages, under a shuffled load with duplicates."""
    faults = GROUPS[group]
    outcome = run(Plan(faults, SEED, log_path=tmp_path / LOG))
    assert outcome.verdict.is_clean, explained(outcome, tmp_path)
    assert sum(outcome.faults.values()) == len(faults)
    assert outcome.verdict.accepted > 100
    hearing = outcome.verdict.hearing
    assert hearing.attempts > hearing.taken > 0, "no destination ever failed"
    assert (hearing.forgotten, hearing.streams > 20, hearing.resumed > 20) == (2, True, True)


@pytest.mark.faults
@pytest.mark.timeout(120)
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Neither engine gets a new byte of disk for some seconds.

    What Redis cannot append goes to the inbox for as long as PostgreSQL has log it wrote over
    before; whatever neither can take is refused.
    """
    try:
        plan = Plan(DISK, SEED, on_small_disk=True, log_path=tmp_path / LOG)
        outcome = run(plan)
    except NoDiskError as error:
        pytest.skip(f"no disk of its own to be had: {error}")
    assert outcome.verdict.is_clean, explained(outcome, tmp_path)
    assert sum(outcome.faults.values()) == len(DISK)
    assert outcome.verdict.accepted > 100


@pytest.mark.faults
@pytest.mark.timeout(360)
def test_a_stripe_in_trouble_delays_nobody_else(tmp_path: Path) -> None:
    """It hangs, is slow, answers 500 and 429, while cut lists make the product ask it."""
    outcome = run(Plan(STRIPE, SEED, with_stripe=True, log_path=tmp_path / LOG))
    assert outcome.verdict.is_clean, explained(outcome, tmp_path)
    assert sum(outcome.faults.values()) == len(STRIPE)
    assert outcome.verdict.compared > 100, explained(outcome, tmp_path)


def broken_build(tmp_path: Path, file: str, has: str, more: str) -> Path:
    """A copy of the product in which a file, which has this text, ends with this code."""
    copy = tmp_path / "broken"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    source = (copy / file).read_text()
    assert has in source
    (copy / file).write_text(source + more)
    return copy


BROKEN = """

_careful = apply_entries


def apply_entries(context, entries, done):
    context.events.acknowledge([entry.entry_id for entry in entries])
    _careful(context, entries, done)
"""


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_a_build_that_acknowledges_before_it_commits_fails_the_same_driver(tmp_path: Path) -> None:
    """The judges can tell: a build that may lose events is found out within half a minute."""
    copy = broken_build(tmp_path, "workers/pipeline/drain.py", "acknowledge, apply_entries", BROKEN)
    # Several, because a duplicate that comes later would make up for one.
    faults = [MID_TRANSACTION] * 6
    outcome = run(Plan(faults, SEED, root=copy, log_path=tmp_path / LOG))
    assert outcome.verdict.lost > 0, explained(outcome, tmp_path)
    assert outcome.verdict.wrong_users > 0
    assert not outcome.verdict.is_clean


HASTY = """

_careful = GroupCommit.accept
_under_way = set()


async def accept(self, delivery):
    task = asyncio.ensure_future(_careful(self, delivery))
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return "stream"


GroupCommit.accept = accept
"""


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_a_build_that_answers_before_the_disk_does_fails_the_same_driver(tmp_path: Path) -> None:
    """A receiver killed amid packets has then promised what nobody has."""
    copy = broken_build(tmp_path, "ingest/intake/group_commit.py", "async def accept(", HASTY)
    outcome = run(Plan([AMID_PACKETS] * 2, SEED, root=copy, log_path=tmp_path / LOG))
    assert outcome.verdict.lost > 0, explained(outcome, tmp_path)
    assert not outcome.verdict.is_clean


RASH = """

_careful = Sender.send
_under_way = set()


async def send(self, url, secrets, msg_id, body):
    task = asyncio.ensure_future(_careful(self, url, secrets, msg_id, body))
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return Answer(200)


Sender.send = send
"""
SKIPPING = """

_whole = give


def give(subscription, news):
    _whole(subscription, News(news.version, news.messages[-1:], news.has_gap))
"""
WORKER_CHILD = next(each for each in KILLS if each.title == "worker child killed")


@pytest.mark.faults_long
@pytest.mark.timeout(240)
def test_a_build_that_takes_messages_for_told_before_the_answer_fails_the_same_driver(
    tmp_path: Path,
) -> None:
    """What a destination refused is never told again.

    It has heard what came later before it, and knows otherwise than the API where nothing did.
    """
    copy = broken_build(tmp_path, "workers/hearing/sending.py", "class Sender:", RASH)
    plan = Plan([WORKER_CHILD] * 8, SEED, root=copy, log_path=tmp_path / LOG)
    outcome = run(plan)
    hearing = outcome.verdict.hearing
    assert hearing.overtaken + hearing.wrong > 0, explained(outcome, tmp_path)
    assert not outcome.verdict.is_clean
    assert outcome.verdict.lost == outcome.verdict.wrong_users == 0


@pytest.mark.faults_long
@pytest.mark.timeout(240)
def test_a_build_whose_streams_skip_messages_fails_the_same_driver(tmp_path: Path) -> None:
    """Of several messages that come together a page is told the last one only."""
    copy = broken_build(tmp_path, "ingest/stream/hub.py", "def give(", SKIPPING)
    plan = Plan([WORKER_CHILD] * 2, SEED, root=copy, log_path=tmp_path / LOG)
    outcome = run(plan)
    assert outcome.verdict.hearing.gaps > 0, explained(outcome, tmp_path)
    assert not outcome.verdict.is_clean
    assert outcome.verdict.lost == outcome.verdict.wrong_users == 0
