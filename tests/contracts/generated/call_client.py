"""Calls a generated client: each operation is answered with every example of the document.

Runs in an environment of its own, which has the generators and no package of ours. Asks neither
network nor server. It prints JSON: for each answer the operation, the status, what was answered,
the class that came of it, and what that tells when it is written as JSON again.

    python call_client.py openapi-python-client|openapi-generator DOCUMENT PACKAGE
"""

import importlib
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Call = Callable[..., Any]
# What is answered: status, media type, body.
Answer = tuple[int, str, str]


def examples(content: dict[str, Any]) -> list[Any]:
    """Every example of a body."""
    named = [one["value"] for one in content.get("examples", {}).values()]
    return named or [content["example"]]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, Any, Iterator[tuple[Answer, Any]]]]:
    """Each operation as Python names it, its body if it takes one, and its answers."""
    for methods in document["paths"].values():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            name = re.sub("([A-Z])", r"_\1", operation["operationId"]).lower()
            request = operation.get("requestBody", {}).get("content", {}).get("application/json")
            yield name, examples(request)[0] if request else None, answers(operation["responses"])


def answers(responses: dict[str, Any]) -> Iterator[tuple[Answer, Any]]:
    """Each answer, and the example that it is."""
    for status, response in responses.items():
        for media, content in response["content"].items():
            for example in examples(content):
                text = example if isinstance(example, str) else json.dumps(example)
                yield (int(status), media, text), example


def arguments(call: Call, body: Any) -> dict[str, Any]:
    """What the call cannot do without: the body as its class, a word for all else."""
    told = {}
    for name, parameter in inspect.signature(call).parameters.items():
        if parameter.default is parameter.empty and name != "client":
            is_body = name == "body" or name.endswith(("_body", "_request"))
            # Where the class cannot be made by hand, the call makes it of what it is given.
            made = getattr(parameter.annotation, "from_dict", dict)
            told[name] = made(body) if is_body else "x"
    return told


def by_python_client(package: str, name: str, body: Any, answer: Answer) -> Any:
    """What a client of openapi-python-client makes of an answer."""
    import httpx  # noqa: PLC0415 - that generator's, as all of these.

    status, media, text = answer
    apis = importlib.import_module(f"{package}.api")
    modules = [each.name for each in pkgutil.walk_packages(apis.__path__, f"{package}.api.")]
    (place,) = [each for each in modules if each.endswith(f".{name}")]
    call = importlib.import_module(place).sync_detailed
    client = importlib.import_module(f"{package}.client").AuthenticatedClient(
        base_url="http://billing.test",
        token="t",
        raise_on_unexpected_status=True,
        httpx_args={
            "transport": httpx.MockTransport(
                lambda _: httpx.Response(status, content=text, headers={"Content-Type": media})
            )
        },
    )
    return call(client=client, **arguments(call, body)).parsed


def by_generator(package: str, name: str, body: Any, answer: Answer) -> Any:
    """What a client of openapi-generator makes of an answer, raised or returned."""
    import urllib3  # noqa: PLC0415 - as above.

    status, media, text = answer
    client = importlib.import_module(package)
    arrived = urllib3.HTTPResponse(text.encode(), {"Content-Type": media}, status)
    api = client.ApiClient(client.Configuration(host="http://billing.test", access_token="t"))
    rest = importlib.import_module(f"{package}.rest")
    api.rest_client.request = lambda *_args, **_told: rest.RESTResponse(arrived)
    groups = [group for word, group in vars(client).items() if word.endswith("Api")]
    (group,) = [each for each in groups if hasattr(each, name)]
    call = getattr(group(api), name)
    try:
        return call(**arguments(call, body))
    except client.ApiException as refused:
        return refused.data


GENERATORS = {"openapi-python-client": by_python_client, "openapi-generator": by_generator}


def as_json(made: Any) -> Any:
    """What an answer tells, as JSON has it."""
    if hasattr(made, "model_dump"):
        return made.model_dump(mode="json", by_alias=True)
    return made.to_dict() if hasattr(made, "to_dict") else made


def main() -> None:
    """Call everything."""
    generator, document, package = sys.argv[1:]
    told = [
        {
            "operation": name,
            "status": answer[0],
            "answered": example,
            "class": type(made).__name__,
            "told": as_json(made),
        }
        for name, body, answered in operations(json.loads(Path(document).read_text("utf-8")))
        for answer, example in answered
        for made in [GENERATORS[generator](package, name, body, answer)]
    ]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
