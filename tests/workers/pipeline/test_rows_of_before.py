"""Rows that the release before wrote: worth what they were until they are read anew."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import text

from tests.pipeline import balances, work
from tests.stripe_objects import a_line, a_session, a_subscription, an_event, an_invoice
from workers.context import WorkerContext
from workers.operations.audit import Finding, audit
from workers.operations.rebuild import Steps, rebuild

USER = {"user_id": "user_1"}
TRIAL: dict[str, Any] = {
    "status": "trialing",
    "trial_start": 1_700_000_000,
    "trial_end": 1_702_592_000,
}


def a_trial() -> Iterator[dict[str, Any]]:
    """A trial of the pro plan: its tokens are granted, and nothing is paid."""
    invoice = an_invoice([a_line(0)], metadata=USER, billing_reason="subscription_create")
    yield an_event("customer.subscription.created", a_subscription(**TRIAL), created=100)
    yield an_event("invoice.paid", invoice)


def forget_what_is_new(context: WorkerContext) -> None:
    """Write what is known as the release before did: no periods, nothing of what was sold."""
    with context.engine.begin() as connection:
        connection.execute(
            text(
                """
                UPDATE payments SET facts = jsonb_set(
                    facts #- '{invoice,total}', '{invoice,lines}',
                    (SELECT jsonb_agg(jsonb_path_query_array(line, '$[0 to 5]'))
                     FROM jsonb_array_elements(facts #> '{invoice,lines}') AS line))
                WHERE facts #> '{invoice,lines}' IS NOT NULL
                """
            )
        )
        connection.execute(
            text("UPDATE payments SET facts = facts #- '{session,subtotal}' #- '{session,named}'")
        )
        connection.execute(
            text(
                "UPDATE subscriptions SET sold = '{}', named_plan_id = NULL,"
                " named_plan_created = NULL"
            )
        )


def findings(context: WorkerContext) -> list[Finding]:
    """What an audit finds."""
    found: list[Finding] = []
    audit(context.engine, found.append, lambda _done, _total: None)
    return found


def test_what_the_new_rules_leave_as_it_was_is_no_finding(context: WorkerContext) -> None:
    """An audit names what changes in meaning, not what is kept besides."""
    package = an_event("checkout.session.completed", a_session(), event_id="evt_pack")
    work(context, [*a_trial(), package])
    before = balances(context.engine)
    forget_what_is_new(context)
    assert findings(context) == []
    # A new report of the subscription derives its payments again, from what the rows say.
    again = a_subscription(**TRIAL | {"trial_end": 1_702_592_001})
    work(context, [an_event("customer.subscription.updated", again, created=200)])
    assert balances(context.engine) == before == {"user_1": 1_500}


def test_a_rebuild_reads_such_rows_anew(context: WorkerContext) -> None:
    """What lies underneath is written although nothing that people see differs."""
    work(context, a_trial())
    forget_what_is_new(context)

    def silent(_done: int, _total: int) -> None:
        """Tell nobody."""

    done = rebuild(context.engine, Steps(silent, silent, lambda _proposal: True))
    assert (done.is_done, done.entries) == (True, 0)
    with context.engine.connect() as connection:
        sold = connection.execute(text("SELECT sold FROM subscriptions")).scalar_one()
        kept = connection.execute(
            text("SELECT facts #> '{invoice,total}' FROM payments WHERE kind = 'invoice'")
        ).scalar_one()
    assert sold["trials"] == [[1_700_000_000, 1_702_592_000]]
    assert kept == 0
    assert balances(context.engine) == {"user_1": 500}
