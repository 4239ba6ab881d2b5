"""The OpenAPI document: valid, complete, and true to its own examples."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient
from schemathesis.specs.openapi.definitions import OPENAPI_31

from tests.ingest.builders import as_user

ROOT = Path(__file__).resolve().parents[3]
PROBLEM = "application/problem+json"
# The operations a frontend or Stripe relies on by name: a renamed one breaks generated clients.
OPERATIONS = {
    "receiveStripeEvent": "post /billing/stripe/webhook/",
    "createCheckoutSession": "post /billing/stripe/checkout-session/",
    "getCheckoutSession": "get /billing/stripe/checkout-session/{session_id}/",
    "createPortalSession": "post /billing/stripe/customer-portal/",
    "listFullPlans": "get /billing/plans/full/",
    "listTokenPackages": "get /billing/plans/token/",
    "listSubscriptions": "get /billing/subscriptions/",
    "listPayments": "get /billing/payments/",
    "getBalance": "get /billing/tokens/",
    "listLedger": "get /billing/tokens/ledger/",
    "debitTokens": "post /billing/tokens/debit/",
    "getConfig": "get /billing/config/",
    "checkAlive": "get /healthz",
    "checkReady": "get /readyz",
    "getMetrics": "get /metrics",
}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    """The document as it is served."""
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    found: dict[str, Any] = answer.get_json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation with a name that a failure can show."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield f"{method} {path}", operation


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every body of an operation: whose, its media type, and what is said of it."""
    if "requestBody" in operation:
        for media, content in operation["requestBody"]["content"].items():
            yield "request", media, content
    for status, response in operation["responses"].items():
        for media, content in response["content"].items():
            yield status, media, content


def shapes(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """A validator of a schema that may refer to others of the document."""
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": document["components"]}, validate_formats=True
    )


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    """Against the specification's own schema; every schema in it is JSON Schema 2020-12."""
    assert document["openapi"].startswith("3.1.")
    errors = [error.message for error in jsonschema_rs.iter_errors(OPENAPI_31, document)]
    assert errors == []
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


def test_operation_ids_stay_as_they_are(document: dict[str, Any]) -> None:
    """Each once; these are the names that generated clients use."""
    found = {operation["operationId"]: name for name, operation in operations(document)}
    assert len(found) == len(list(operations(document)))
    assert found.items() >= OPERATIONS.items()


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """A summary, a description, a known tag, its parameters, all in words."""
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= tags, name
        for parameter in operation["parameters"]:
            assert parameter["description"], (name, parameter)


def test_every_property_is_described(document: dict[str, Any]) -> None:
    """In words, unless it refers to something that is."""
    for name, schema in document["components"]["schemas"].items():
        for member, told in schema["properties"].items():
            is_list = told.get("type") == "array" and "$ref" in told["items"]
            assert is_list or "$ref" in told or told.get("description"), (name, member)


def test_every_body_has_an_example_that_fits(document: dict[str, Any]) -> None:
    """Requests, answers and problems, each against its own schema."""
    seen = 0
    for name, operation in operations(document):
        for whose, media, content in contents(operation):
            examples = [each["value"] for each in content.get("examples", {}).values()]
            examples += [content["example"]] if "example" in content else []
            assert examples, (name, whose, media)
            for example in examples:
                wrong = [
                    error.message
                    for error in shapes(document, content["schema"]).iter_errors(example)
                ]
                assert wrong == [], (name, whose, media)
                seen += 1
    assert seen > 50


def unnamed(document: dict[str, Any], schema: dict[str, Any], value: Any) -> Iterator[str]:
    """Members of an example that its schema does not name, although it is not an open one."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].split("/")[-1]]
    if isinstance(value, list):
        for item in value:
            yield from unnamed(document, schema.get("items", {}), item)
    if isinstance(value, dict) and "properties" in schema:
        for name, member in value.items():
            if name not in schema["properties"]:
                yield name
            else:
                yield from unnamed(document, schema["properties"][name], member)


def test_examples_have_no_member_that_is_not_described(document: dict[str, Any]) -> None:
    """Linters of documents, such as Redocly's, take one for a mistake."""
    for name, operation in operations(document):
        for whose, _, content in contents(operation):
            examples = [each["value"] for each in content.get("examples", {}).values()]
            examples += [content["example"]] if "example" in content else []
            for example in examples:
                assert list(unnamed(document, content["schema"], example)) == [], (name, whose)


def test_generators_of_clients_keep_the_bodies_of_errors(document: dict[str, Any]) -> None:
    """They drop what they cannot merge: an `allOf` whose parts differ, a `const`."""
    for name, operation in operations(document):
        for whose, media, content in contents(operation):
            if media == PROBLEM:
                schema = content["schema"]
                assert not {"allOf", "anyOf", "oneOf"} & schema.keys(), (name, whose)
                assert schema["properties"]["status"]["type"] == "integer"
                assert {"title", "detail", "code"} <= set(schema["required"])
                assert "const" not in str(schema)
                # A member that is null in every example would have any type.
                assert "{}" not in str(schema), (name, whose)


def test_the_license_is_the_one_of_the_project(document: dict[str, Any]) -> None:
    """Stated in pyproject.toml, and told to whoever reads the document.

    openapi-generator refuses a license without an identifier; SPDX has this form for its own.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    name = project["license"]["text"]
    assert document["info"]["license"] == {"name": name, "identifier": f"LicenseRef-{name}"}


def test_examples_show_every_member(document: dict[str, Any]) -> None:
    """Nothing that an answer always has is left out of its example."""
    for name, operation in operations(document):
        for whose, media, content in contents(operation):
            if whose != "request" and media == "application/json" and "$ref" in content["schema"]:
                schema = document["components"]["schemas"][content["schema"]["$ref"].split("/")[-1]]
                assert set(content["example"]) == set(schema["properties"]), (name, whose)


def test_errors_are_problems_with_their_codes(document: dict[str, Any]) -> None:
    """Every error is application/problem+json and tells the codes it may have."""
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400 and name != "get /readyz":
                assert list(response["content"]) == [PROBLEM], (name, status)
                content = response["content"][PROBLEM]
                codes = content["schema"]["properties"]["code"]["enum"]
                assert list(content["examples"]) == codes, (name, status)
                assert all(re.fullmatch("[a-z_]+", code) for code in codes)


def test_guarded_operations_say_so(document: dict[str, Any]) -> None:
    """What needs a token names the scheme and may answer 401, what does not is open."""
    for name, operation in operations(document):
        needs_token = "401" in operation["responses"]
        assert bool(operation["security"]) == needs_token, name
        assert needs_token == (
            name.split()[1].startswith("/billing/")
            and name.split()[1] not in ("/billing/config/", "/billing/stripe/webhook/")
        ), name


def test_lists_are_read_page_by_page(document: dict[str, Any]) -> None:
    """Every list documents limit, with its bounds, and cursor."""
    lists = {
        name: {each["name"]: each for each in operation["parameters"]}
        for name, operation in operations(document)
        if operation["operationId"].startswith("list")
    }
    assert len(lists) == 5
    for name, parameters in lists.items():
        limit = parameters["limit"]["schema"]
        assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 200, 50), name
        assert parameters["cursor"]["required"] is False


def test_the_debit_documents_its_key_and_its_scope(document: dict[str, Any]) -> None:
    """The header is required, and the token must carry the scope."""
    debit = document["paths"]["/billing/tokens/debit/"]["post"]
    [key] = debit["parameters"]
    assert (key["in"], key["name"], key["required"]) == ("header", "Idempotency-Key", True)
    assert debit["security"] == [{"bearer": ["tokens:debit"]}]
    assert {"200", "201", "402", "403", "409"} <= set(debit["responses"])


def test_every_component_is_used(document: dict[str, Any]) -> None:
    """Nothing of the libraries' own shapes is left in the document."""
    text = str(document)
    for name in document["components"]["schemas"]:
        assert f"'#/components/schemas/{name}'" in text, name


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/billing/payments/?limit=0", 422, "invalid_input"),
        ("/billing/payments/?limit=x", 422, "invalid_input"),
        ("/billing/payments/?cursor=x", 422, "invalid_cursor"),
    ],
)
def test_a_problem_in_the_flesh_fits_what_is_documented(
    client: FlaskClient, document: dict[str, Any], path: str, status: int, code: str
) -> None:
    """What is answered is one of the documented problems of that operation."""
    answer = client.get(path, headers=as_user())
    assert (answer.status_code, answer.mimetype) == (status, PROBLEM)
    problem = answer.get_json(force=True)
    assert problem["code"] == code
    operation = document["paths"][path.split("?", maxsplit=1)[0]]["get"]
    schema = operation["responses"][str(status)]["content"][PROBLEM]["schema"]
    assert shapes(document, schema).is_valid(problem)
