"""A worker that may ask a Stripe of the tests, and what the tables then call for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import text

import settings
from db.questions import questions
from db.questions.questions import Kind, Question
from stripe_gateway import StripeGateway, open_gateway
from tests.ingest.builders import ENVIRONMENT
from tests.pipeline import a_worker_context, sell
from tests.play import CATALOGUE
from tests.stripe_server import StripeServer
from workers.context import WorkerContext


def a_gateway(stripe: StripeServer) -> StripeGateway:
    """A gateway with a key to that server."""
    variables = {"STRIPE_SECRET_KEY": "sk_test_of_the_tests", "STRIPE_API_BASE": stripe.url}
    gateway = open_gateway(settings.load(environ=ENVIRONMENT | variables))
    assert gateway is not None
    return gateway


@contextmanager
def an_asking_shop(
    database_url: str, redis_url: str, stripe: StripeServer
) -> Iterator[WorkerContext]:
    """A worker's ports with a key, on a database that sells the test catalogue."""
    context = replace(a_worker_context(database_url, redis_url), gateway=a_gateway(stripe))
    sell(context.engine, CATALOGUE)
    yield context
    context.engine.dispose()


def want(context: WorkerContext, kind: Kind, subject_id: str, *, age_seconds: float = 0.0) -> None:
    """Make the tables call for an answer since so long; a row that they lack is made."""
    wanted = {"kind": kind.value, "subject": subject_id, "age": age_seconds}
    with context.engine.begin() as connection:
        connection.execute(text(_SUBSCRIPTION if kind is Kind.SUBSCRIPTION else _PAYMENT), wanted)


def asked(context: WorkerContext) -> dict[str, Any]:
    """What is remembered of the asking, by subject."""
    with context.engine.connect() as connection:
        return {row.subject_id: row for row in connection.execute(text("SELECT * FROM questions"))}


def is_wanted(context: WorkerContext, kind: Kind, subject_id: str) -> bool:
    """Whether the tables still call for an answer."""
    with context.engine.connect() as connection:
        return questions.is_wanted(connection, Question(kind, subject_id))


def pass_time(context: WorkerContext) -> None:
    """Let every pause end."""
    with context.engine.begin() as connection:
        connection.execute(text("UPDATE questions SET next_ask_at = now()"))
        connection.execute(text("UPDATE stripe_turn SET pause_until = now()"))


_PAYMENT = """
    INSERT INTO payments (id, kind, root_id, facts, question, question_subject, updated_at)
    VALUES (:subject, CASE WHEN :subject LIKE 'cs%' THEN 'session' WHEN :subject LIKE 'in%'
                      THEN 'invoice' WHEN :subject LIKE 'pi%' THEN 'intent' ELSE 'charge' END,
            :subject, '{}', :kind, :subject, now() - :age * interval '1 second')
    ON CONFLICT (id) DO UPDATE
    SET question = EXCLUDED.question, question_subject = EXCLUDED.question_subject,
        updated_at = EXCLUDED.updated_at
"""
_SUBSCRIPTION = """
    INSERT INTO subscriptions (id, undecided, updated_at)
    VALUES (:subject, true, now() - :age * interval '1 second')
    ON CONFLICT (id) DO UPDATE SET undecided = true, updated_at = EXCLUDED.updated_at
"""
