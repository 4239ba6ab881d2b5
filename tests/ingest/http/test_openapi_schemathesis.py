"""Requests made up from the OpenAPI document: whatever they are, the answer is a documented one.

Everything but the webhook, whose bodies have a fuzz of their own in tests/faults.
"""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from schemathesis import GenerationMode
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import settings
from ingest.app import create_app
from sandbox.simulate.plans import SAMPLE_PLANS
from tests.examples import examples
from tests.ingest.builders import ENVIRONMENT, a_token
from workers.commands.catalogue import load_file

# Answered by the event loop; under WSGI it is 503 by design.
STREAM = "/billing/stream/"
WEBHOOK = "/billing/stripe/webhook/"
LIMITS = examples(40, database=None, suppress_health_check=list(HealthCheck))


def not_a_failure(context: CheckContext, response: Any, case: Any) -> bool | None:
    """No 5xx but the one that says that nothing can be sold without a key for Stripe."""
    if response.status_code == 503 and response.json()["code"] == "stripe_disabled":
        return None
    return not_a_server_error(context, response, case)


CHECKS = [
    not_a_failure,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def document(database_url: str, redis_url: str) -> schemathesis.BaseSchema:
    """The document of the real application, on real stores, with plans to show."""
    load_file(database_url, SAMPLE_PLANS)
    environment = ENVIRONMENT | {
        "DATABASE_URL": database_url.replace("+psycopg2", ""),
        "REDIS_URL": redis_url,
    }
    app = create_app(settings.load(environ=environment))
    served_elsewhere = [WEBHOOK, STREAM]
    return schemathesis.openapi.from_wsgi("/openapi.json", app).exclude(path=served_elsewhere)


@pytest.mark.parametrize("is_user", [True, False], ids=["a user", "nobody"])
def test_every_request_is_answered_as_documented(
    document: schemathesis.BaseSchema, *, is_user: bool
) -> None:
    """Parameters of any value for every operation, whoever asks."""
    everything = {"Authorization": f"Bearer {a_token(scope='tokens:debit')}"}
    headers = everything if is_user else {}
    operations = [found.ok() for found in document.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == len(list(document.get_all_operations()))
    assert {"/billing/payments/", "/billing/tokens/ledger/"} <= {each.path for each in operations}
    assert not {WEBHOOK, STREAM} & {each.path for each in operations}
    for operation in operations:

        @given(
            case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
            | operation.as_strategy()
        )
        @LIMITS
        def ask(case: schemathesis.Case[Any]) -> None:
            case.validate_response(case.call(headers=headers), checks=CHECKS)

        ask()
