"""A name too long for any index is a poison like any other: its event fails, and nothing else."""

import random
import string
from collections.abc import Iterator
from typing import Any

import pytest

from tests.pipeline import a_worker_context, balances, sell, statuses, work
from tests.play import CATALOGUE
from tests.stripe_objects import a_session, an_event
from workers.context import WorkerContext

# Without any pattern, so that no compression makes it fit.
OVERSIZED = "".join(random.Random(1).choices(string.ascii_letters, k=20_000))  # noqa: S311 - no secret.
SPOILED: dict[str, dict[str, Any]] = {
    "id": {"id": OVERSIZED},
    "customer": {"customer": OVERSIZED},
    "user": {"metadata": {"user_id": OVERSIZED, "plan_id": "4"}},
}


@pytest.fixture(scope="module")
def context(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's ports on the plans of the tests."""
    found = a_worker_context(database_url, redis_url)
    sell(found.engine, CATALOGUE)
    yield found
    found.engine.dispose()


@pytest.mark.parametrize("name", SPOILED)
def test_an_event_with_an_oversized_name_fails_alone_and_leaves_the_stream(
    name: str, context: WorkerContext
) -> None:
    """Else it is claimed again and again, and holds up whatever was read with it."""
    before = balances(context.engine).get(f"user_{name}", 0)
    poison = an_event(
        "checkout.session.completed",
        a_session(**({"id": f"cs_poison_{name}"} | SPOILED[name])),
        event_id=f"evt_poison_{name}",
    )
    good = an_event(
        "checkout.session.completed",
        a_session(
            id=f"cs_good_{name}",
            customer=f"cus_good_{name}",
            client_reference_id=f"user_{name}",
            metadata={"user_id": f"user_{name}", "plan_id": "4"},
        ),
        event_id=f"evt_good_{name}",
    )
    work(context, [poison, good])
    found = statuses(context.engine)
    assert found[f"evt_poison_{name}"] == "failed"
    assert found[f"evt_good_{name}"] == "applied"
    assert balances(context.engine)[f"user_{name}"] == before + 1_000
    assert context.events.length() == 0
