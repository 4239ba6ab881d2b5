"""Lives told as snapshots, as thin events, and as both at once end in identical tables."""

import random
from pathlib import Path

import pytest

from tests.pipeline import empty, empty_redis
from tests.thin import an_asking_worker, differing, lives, receive, settle, tables, told
from workers.operations.audit import Finding, audit


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("seed", "customers"),
    # In the second a payer is an account alone while events tell of it, and has both names later,
    # when Stripe is asked.
    [(20_261_127, 60), (46, 12)],
    ids=["usual lives", "a payer with two names"],
)
def test_either_style_and_both_at_once_end_in_identical_tables(
    database_url: str, redis_url: str, tmp_path: Path, seed: int, customers: int
) -> None:
    """Shuffled, three in ten doubled; the audit is clean and needs no network."""
    account = lives(seed, customers=customers)
    chance = random.Random(15)  # noqa: S311 - an order, no secret.
    ends = {}
    with an_asking_worker(database_url, redis_url, tmp_path) as (context, offline):
        offline.world.take_lives(account.answers())
        for style in ("snapshot", "thin", "both", "thin, twins unnamed"):
            empty(context.engine)
            empty_redis(redis_url)
            names_twin = not style.endswith("unnamed")
            what = style.partition(",")[0]
            receive(context, told(account, what, chance, names_twin=names_twin))
            settle(context)
            ends[style] = tables(context.engine)
            findings: list[Finding] = []
            audit(context.engine, findings.append, lambda _done, _total: None)
            assert findings == []
    for style in ends.keys() - {"snapshot"}:
        assert differing(ends["snapshot"], ends[style]) == [], style
    assert len(ends["snapshot"]["payments"]) > customers
