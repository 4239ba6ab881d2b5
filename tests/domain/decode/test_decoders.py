"""Every handled event type, in both API shapes: the recorded event decodes to its facts.

Adding an event type adds its fixtures and its lines to the tables in `recorded`.
"""

import pytest

from domain.decode import decode, parse
from domain.payments.claims import PlanClaim
from domain.subscriptions.states import state_of
from domain.subscriptions.versions import Subscription
from tests.domain.recorded import (
    AT,
    CUSTOMER,
    EVENT,
    LINK,
    NEW_FACTS,
    OLD_FACTS,
    ONLY_NEW,
    STAMP,
    STATES,
    SUBJECTS,
    SUBSCRIPTION,
    USER,
    decoded,
    recorded,
)


@pytest.mark.parametrize("event_type", NEW_FACTS)
def test_the_new_shape_decodes_to_these_facts(event_type: str) -> None:
    """Links, amounts, statuses and lines, each literally."""
    assert list(decoded(event_type, "new").facts) == list(NEW_FACTS[event_type])


@pytest.mark.parametrize("event_type", sorted(OLD_FACTS.keys() - ONLY_NEW))
def test_the_old_shape_decodes_to_the_same_facts_and_the_links_only_it_has(event_type: str) -> None:
    """The same sale told before 2025-03-31."""
    assert list(decoded(event_type, "old").facts) == list(OLD_FACTS[event_type])


@pytest.mark.parametrize("shape", ["old", "new"])
@pytest.mark.parametrize("event_type", STATES)
def test_a_subscription_event_decodes_to_one_report_of_its_state(
    event_type: str, shape: str
) -> None:
    """Period on the subscription or on its items: the state read from it is equal."""
    link, fact = decoded(event_type, shape).facts
    assert link == LINK
    assert isinstance(fact, Subscription)
    assert (fact.id, fact.customer_id) == (SUBSCRIPTION, CUSTOMER)
    assert fact.plan_claim == PlanClaim(STAMP, 2)
    (report,) = fact.versions
    assert (report.created, report.event_id, report.event_type) == (AT, EVENT, event_type)
    assert state_of(report) == STATES[event_type]
    assert bool(report.previous) is (event_type == "customer.subscription.updated")


@pytest.mark.parametrize("event_type", SUBJECTS)
def test_an_event_says_whom_and_what_it_is_about(event_type: str) -> None:
    """Both shapes are handled, name the same subject, and leave nothing to remark."""
    subject, has_customer, has_user = SUBJECTS[event_type]
    for shape in ["new"] if event_type in ONLY_NEW else ["old", "new"]:
        found = decoded(event_type, shape)
        assert (found.is_handled, found.object_id, found.note) == (True, subject, None)
        assert found.customer_id == (CUSTOMER if has_customer else None)
        assert found.user_id == (USER if has_user else None)


def test_no_handled_type_is_left_out_of_these_tables() -> None:
    """A decoder without a line in here would be a decoder without a test."""
    assert NEW_FACTS.keys() | STATES.keys() == SUBJECTS.keys()
    assert not NEW_FACTS.keys() & STATES.keys()


def test_every_other_type_is_no_fact_and_no_error() -> None:
    """Stored as ignored, with what it is about."""
    event = recorded("customer.created", "new") | {"type": "customer.source.created"}
    found = decode(parse(event))
    assert (found.is_handled, found.facts, found.note) == (False, (), None)
    assert (found.object_id, found.user_id) == (CUSTOMER, USER)
