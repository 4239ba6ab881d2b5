"""A Stripe account's products and prices, in memory and over HTTP, with Stripe's own rules.

Prices never change their amount, lookup keys are unique, a default price cannot be archived, and
an idempotency key answers what it answered before. The HTTP server is for the real client.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dev.faults.local_server import serving

Json = dict[str, Any]

KINDS = {"products": "prod", "prices": "price"}


class Refused(Exception):  # noqa: N818 - what Stripe answers, no error of the fake.
    """Stripe refuses; `code` is its name for why."""

    def __init__(self, code: str, status: int = 400) -> None:
        self.code, self.status = code, status
        super().__init__(code)


@dataclass
class Account:
    """Objects by id, oldest first, as Stripe shows them; `posts` counts what changed something."""

    livemode: bool = False
    products: dict[str, Json] = field(default_factory=dict)
    prices: dict[str, Json] = field(default_factory=dict)
    posts: int = 0
    keys: dict[str, tuple[Json, str]] = field(default_factory=dict)
    prefix: str = ""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def create(self, kind: str, params: Mapping[str, Any], key: str | None = None) -> Json:
        """Make a product or price; the same key gives the same object."""
        if key and key in self.keys:
            before, made_id = self.keys[key]
            if before != params:
                raise Refused("idempotency_key_in_use")
            return self._of(kind)[made_id]
        found = self._product(params) if kind == "products" else self._price(params)
        self._of(kind)[found["id"]] = found
        self.posts += 1
        if key:
            self.keys[key] = (dict(params), found["id"])
        return found

    def update(self, kind: str, object_id: str, params: Mapping[str, Any]) -> Json:
        """Change what may be changed."""
        found = self._of(kind).get(object_id)
        if found is None:
            raise Refused("resource_missing", 404)
        changes = dict(params)
        if kind == "prices":
            self._check_price(found, changes)
        transferred = changes.pop("transfer_lookup_key", False)
        if "lookup_key" in changes:
            self._take_lookup_key(changes["lookup_key"], found["id"], transferred=transferred)
        found["metadata"] = found["metadata"] | changes.pop("metadata", {})
        found |= {name: None if value == "" else value for name, value in changes.items()}
        self.posts += 1
        return found

    def listed(self, kind: str) -> list[Json]:
        """Everything, newest first."""
        return list(reversed(self._of(kind).values()))

    def _of(self, kind: str) -> dict[str, Json]:
        return self.products if kind == "products" else self.prices

    def _new(self, kind: str, params: Mapping[str, Any]) -> Json:
        number = next(self.numbers)
        return {
            "id": f"{KINDS[kind]}_{self.prefix}{number}",
            "object": kind.removesuffix("s"),
            "active": True,
            "created": 1_700_000_000 + number,
            "livemode": self.livemode,
            "metadata": dict(params.get("metadata", {})),
        }

    def _product(self, params: Mapping[str, Any]) -> Json:
        if unknown := params.keys() - {"name", "description", "metadata"}:
            raise Refused(f"parameter_unknown {unknown}")
        if not params.get("name") or params.get("description") == "":
            raise Refused("parameter_invalid_empty")
        named = {"name": params["name"], "description": params.get("description")}
        return self._new("products", params) | named | {"default_price": None}

    def _price(self, params: Mapping[str, Any]) -> Json:
        params = dict(params)
        found = self._new("prices", params)
        params.pop("metadata", None)
        transferred = params.pop("transfer_lookup_key", False)
        if params["product"] not in self.products:
            raise Refused("resource_missing")
        if not self.products[params["product"]]["active"]:
            raise Refused("product_inactive")
        key = params.setdefault("lookup_key", None)
        self._take_lookup_key(key, found["id"], transferred=transferred)
        recurring = params.pop("recurring", None)
        if recurring:
            counted = int(recurring.get("interval_count", 1))
            recurring = {"usage_type": "licensed", **recurring, "interval_count": counted}
        kind = "recurring" if recurring else "one_time"
        return found | params | {"recurring": recurring, "type": kind}

    def _take_lookup_key(self, key: str | None, price_id: str, *, transferred: bool) -> None:
        for other in self.prices.values():
            if key and other["lookup_key"] == key and other["id"] != price_id:
                if not transferred:
                    raise Refused("lookup_key_taken")
                other["lookup_key"] = None

    def _check_price(self, price: Json, changes: Json) -> None:
        if changes.keys() - {"active", "metadata", "lookup_key", "transfer_lookup_key"}:
            raise Refused("parameter_unknown")
        product = self.products[price["product"]]
        if changes.get("active") is False and product["default_price"] == price["id"]:
            raise Refused("price_is_default")


@dataclass
class Server:
    """An account behind HTTP. `faults` are used up in turn: what becomes of each POST.

    A fault is an HTTP status to refuse with, or `lost`: done, and answered with a 500.
    """

    url: str = ""
    account: Account = field(default_factory=Account)
    faults: list[int | str | None] = field(default_factory=list)
    page: int = 100

    def get(self, kind: str, query: Mapping[str, str]) -> Json:
        """A page of a list."""
        found = self.account.listed(kind)
        if after := query.get("starting_after"):
            found = found[[each["id"] for each in found].index(after) + 1 :]
        data = found[: self.page]
        return {"object": "list", "data": data, "has_more": len(found) > len(data)}

    def post(self, kind: str, object_id: str | None, params: Json, key: str | None) -> Json:
        """A change, or the fault that is next."""
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, int):
            raise Refused("told_to", fault)
        if object_id:
            found = self.account.update(kind, object_id, params)
        else:
            found = self.account.create(kind, params, key)
        if fault == "lost":
            raise Refused("lost", 500)
        return found


@contextmanager
def serve() -> Iterator[Server]:
    """A server on a free port of this machine, for as long as the block runs."""
    stripe = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            kind = url.path.removeprefix("/v1/")
            self._answer(200, stripe.get(kind, dict(parse_qsl(url.query))))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            kind, _, object_id = self.path.removeprefix("/v1/").partition("/")
            key = self.headers["Idempotency-Key"]
            try:
                found = stripe.post(kind, object_id or None, nested(body), key)
            except Refused as refused:
                kind = "api_error" if refused.status >= 500 else "invalid_request_error"
                error = {"type": kind, "code": refused.code, "message": "no"}
                self._answer(refused.status, {"error": error})
            else:
                self._answer(200, found)

        def _answer(self, status: int, found: Json) -> None:
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Stripe-Should-Retry", "false")
            self.send_header("Request-Id", "req_of_the_tests")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name.
            """Say nothing."""

    with serving(Handler) as stripe.url:
        yield stripe


def nested(body: str) -> Json:
    """Form parameters such as `metadata[plan_id]=1` as objects, with Stripe's types."""
    found: Json = {}
    for name, value in parse_qsl(body, keep_blank_values=True):
        outer, _, inner = name.partition("[")
        if inner:
            found.setdefault(outer, {})[inner.rstrip("]")] = value
        else:
            found[outer] = _typed(outer, value)
    return found


def _typed(name: str, value: str) -> Any:
    if name in ("active", "transfer_lookup_key"):
        return value == "true"
    return int(value) if name == "unit_amount" else value
