"""Five thousand lives in every style of event; the short form is in tests/flows."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from db.questions.notices import Asking
from tests.pipeline import empty, empty_redis
from tests.thin import an_asking_worker, differing, lives, receive, settle, tables, told
from workers.operations.audit import Finding, audit
from workers.questions.noticed import Questions, Told

# As many at once as memory likes.
PARTS, CUSTOMERS = 10, 500


@pytest.mark.faults_long
@pytest.mark.timeout(7_200)
def test_five_thousand_lives_end_alike_in_every_style(
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """Shuffled, three in ten doubled; audits are clean, no object is asked for twice a second."""
    ends = {}
    times: dict[str, float] = {}
    ask = Questions.ask

    def noted(self: Questions, asking: Asking) -> Told:
        at = time.monotonic()
        assert at - times.get(asking.object_id, 0.0) > 0.95, asking.object_id
        times[asking.object_id] = at
        return ask(self, asking)

    monkeypatch.setattr(Questions, "ask", noted)
    with an_asking_worker(database_url, redis_url, tmp_path, a_second=500.0) as (context, offline):
        for style in ("snapshot", "thin", "both"):
            empty(context.engine)
            empty_redis(redis_url)
            times.clear()
            started, questions = time.monotonic(), 0
            for part in range(PARTS):
                account = lives(part, customers=CUSTOMERS)
                if style == "thin":
                    offline.world.take_lives(account.answers())
                chance = random.Random(part)  # noqa: S311 - an order, no secret.
                receive(context, told(account, style, chance))
                questions += settle(context, seconds=1_200.0).objects
            ends[style] = tables(context.engine)
            seconds = round(time.monotonic() - started)
            record_property(f"{style}: questions, seconds", f"{questions}, {seconds}")
            findings: list[Finding] = []
            audit(context.engine, findings.append, lambda _done, _total: None)
            assert findings == []
    for style in ("thin", "both"):
        assert differing(ends["snapshot"], ends[style]) == [], style
