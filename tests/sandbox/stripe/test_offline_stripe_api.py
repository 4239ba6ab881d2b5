"""The offline Stripe's API, asked by the real SDK: objects, errors, idempotency, pages."""

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import stripe

from sandbox.stripe.views import Paid
from tests.offline_stripe import DAY, GOOD, KEY, LATER, SECRET, SUCCESS, Offline, offline_stripe


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def asked(
    offline: Offline, method: str, path: str, form: object = (), **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Ask without the SDK; the status, the headers in small letters, and the body."""
    connection = http.client.HTTPConnection(urlsplit(offline.url).netloc, timeout=10)
    known = {
        "Authorization": f"Bearer {KEY}",
        "Content-Type": "application/x-www-form-urlencoded",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    try:
        connection.request(method, path, urlencode(form), known)  # type: ignore[arg-type]
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, told, json.loads(answer.read())
    finally:
        connection.close()


def refused(error: pytest.ExceptionInfo[stripe.InvalidRequestError]) -> tuple[Any, Any, Any]:
    """What the SDK understood of a refusal."""
    return error.value.http_status, error.value.code, error.value.param


def test_a_package_is_bought_from_the_product_to_the_events(offline: Offline) -> None:
    """Customer, product, price, session, payment: the session is complete and the events tell."""
    customer = offline.customer()
    price = offline.price(500, interval=None, metadata={"plan_id": "4"})
    session = offline.session(
        price,
        customer,
        metadata={"user_id": "user", "plan_id": "4"},
        payment_intent_data={"metadata": {"user_id": "user"}},
    )
    opened = offline.client.v1.checkout.sessions.retrieve(session)
    assert (opened.status, opened.payment_status) == ("open", "unpaid")
    assert opened.url == f"{offline.url}/c/pay/{session}"
    said = offline.world.pay(session, GOOD)
    assert said == Paid(f"http://shop.test/thanks?session={session}")
    paid = offline.client.v1.checkout.sessions.retrieve(session, {"expand": ["payment_intent"]})
    assert (paid.status, paid.payment_status, paid.amount_total) == ("complete", "paid", 500)
    assert isinstance(paid.payment_intent, stripe.PaymentIntent)
    assert paid.payment_intent.metadata["user_id"] == "user"
    events = offline.client.v1.events.list({"limit": 100, "created": {"gte": 0}}).data
    assert [event.type for event in reversed(events)] == [
        "customer.created",
        "product.created",
        "price.created",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    completed = events[0].data.object
    assert completed["metadata"].to_dict() == {"user_id": "user", "plan_id": "4"}
    assert completed["client_reference_id"] == "user"
    assert events[-1].request is not None
    assert str(events[-1].request.id).startswith("req_")


def test_an_inline_price_is_sold_and_belongs_to_no_list_of_offers(offline: Offline) -> None:
    """price_data makes a product and a price that are not active."""
    params: Any = {
        "mode": "subscription",
        "customer": offline.customer(),
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "eur",
                    "unit_amount": 700,
                    "recurring": {"interval": "year"},
                    "product_data": {"name": "Inline", "metadata": {"plan_id": "9"}},
                },
            }
        ],
        "success_url": SUCCESS,
        "subscription_data": {"trial_period_days": 14, "metadata": {"user_id": "user"}},
    }
    session = offline.client.v1.checkout.sessions.create(params)
    assert (session.amount_total, session.currency) == (0, "eur")
    assert isinstance(offline.world.pay(session.id, GOOD), Paid)
    (contract,) = offline.client.v1.subscriptions.list({"status": "all"}).data
    assert (contract.status, contract.metadata["user_id"]) == ("trialing", "user")
    assert not offline.client.v1.prices.list({"active": True}).data
    (completed,) = offline.objects("checkout.session.completed")
    assert completed["payment_status"] == "no_payment_required"


def test_the_same_idempotency_key_is_answered_the_same_and_makes_nothing_twice(
    offline: Offline,
) -> None:
    """The stored answer comes again, marked as a replay, even after the object has changed."""
    form = {"email": "a@example.com"}
    first = asked(offline, "POST", "/v1/customers", form, Idempotency_Key="one")
    offline.client.v1.customers.update(first[2]["id"], {"email": "b@example.com"})
    again = asked(offline, "POST", "/v1/customers", form, Idempotency_Key="one")
    assert (first[0], first[2]) == (again[0], again[2])
    assert "idempotent-replayed" not in first[1]
    assert again[1]["idempotent-replayed"] == "true"
    assert first[1]["request-id"] != again[1]["request-id"]
    assert len(offline.client.v1.customers.list().data) == 1


def test_a_key_used_with_other_parameters_is_refused(offline: Offline) -> None:
    """Stripe's own idempotency_error, as the SDK's class."""
    offline.client.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        offline.client.v1.customers.create({"name": "B"}, {"idempotency_key": "k"})


def test_what_was_refused_is_not_kept_under_its_key(offline: Offline) -> None:
    """A mended request may use the key of the one that was wrong."""
    with pytest.raises(stripe.InvalidRequestError):
        offline.client.v1.products.create({"name": ""}, {"idempotency_key": "k"})
    assert offline.client.v1.products.create({"name": "A"}, {"idempotency_key": "k"}).name == "A"


def test_a_key_whose_request_is_under_way_is_a_conflict(offline: Offline) -> None:
    """The second of two at once is told to wait."""
    answers: list[int] = []

    def ask() -> None:
        answers.append(asked(offline, "POST", "/v1/customers", {}, Idempotency_Key="same")[0])

    threads = [threading.Thread(target=ask) for _ in range(2)]
    with offline.world.reading():
        for thread in threads:
            thread.start()
        while not answers:
            threads[0].join(0.01)
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409]


@pytest.mark.parametrize(
    ("key", "message"),
    [("", "did not provide"), ("sk_live_x1234", "Invalid"), ("pk_test_1", "Inv")],
)
def test_without_a_test_key_nobody_gets_in(offline: Offline, key: str, message: str) -> None:
    """401 with Stripe's error body; the key itself is not repeated."""
    status, headers, body = asked(
        offline, "GET", "/v1/customers", Authorization=f"Bearer {key}" if key else ""
    )
    assert (status, body["error"]["type"]) == (401, "invalid_request_error")
    assert message in body["error"]["message"]
    assert "request-id" in headers
    assert not key or key not in body["error"]["message"]


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"mode": "payment"}, "parameter_missing", "success_url"),
        ({"success_url": "shop.test"}, "url_invalid", "success_url"),
        ({"payment_intent_data": {"x": "1"}}, "parameter_unknown", "payment_intent_data[x]"),
        ({"payment_method_type": "card"}, "parameter_unknown", "payment_method_type"),
        ({"payment_method_types": ["gold"]}, None, "payment_method_types[0]"),
        ({"subscription_data": {"metadata": {"a": "b"}}}, None, "subscription_data"),
        ({"customer": "cus_1"}, "resource_missing", "customer"),
        ({"mode": "subscription"}, None, None),
        ({"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
        ({"metadata": {"k" * 41: "v"}}, None, f"metadata[{'k' * 41}]"),
        ({"metadata": {f"k{n}": "v" for n in range(51)}}, None, "metadata"),
        ({"expires_at": 1}, None, "expires_at"),
        ({"line_items": [{"price": "price_1", "quantity": 1}]}, "resource_missing", None),
        ({"line_items": [{"quantity": 1}]}, None, "line_items[0]"),
    ],
)
def test_wrong_parameters_are_refused_as_stripe_refuses_them(
    offline: Offline, params: dict[str, Any], code: str | None, param: str | None
) -> None:
    """InvalidRequestError with the code and the full name of the parameter."""
    price = offline.price(500, interval=None)
    whole: Any = {
        "mode": "payment",
        "line_items": [{"price": price, "quantity": 1}],
        "success_url": SUCCESS,
        **params,
    }
    if code == "parameter_missing":
        del whole["success_url"]
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.client.v1.checkout.sessions.create(whole)
    assert refused(error)[:2] == (400, code)
    assert param is None or error.value.param == param


def test_an_archived_price_cannot_be_sold(offline: Offline) -> None:
    """A session with a price that is not active is refused by name."""
    price, customer = offline.price(), offline.customer()
    offline.client.v1.prices.update(price, {"active": False})
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.session(price, customer)
    assert refused(error) == (400, "price_inactive", "line_items[0][price]")


def test_an_id_in_the_address_that_is_none_is_404(offline: Offline) -> None:
    """resource_missing, for another kind's id too, and unrecognised paths are 404 as well."""
    customer = offline.customer()
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.client.v1.subscriptions.retrieve(customer)
    assert refused(error) == (404, "resource_missing", "id")
    status, headers, body = asked(offline, "GET", "/v1/nothing/here")
    assert (status, body["error"]["type"]) == (404, "invalid_request_error")
    assert "request-id" in headers


def test_lists_are_paged_both_ways_newest_first(offline: Offline) -> None:
    """The SDK's own paging sees everything once, in either direction."""
    made = [offline.customer(f"user{n}") for n in range(5)]
    first = offline.client.v1.customers.list({"limit": 2})
    assert ([one.id for one in first.data], first.has_more) == (made[:-3:-1], True)
    assert [one.id for one in first.auto_paging_iter()] == made[::-1]
    back = offline.client.v1.customers.list({"limit": 2, "ending_before": made[0]})
    assert ([one.id for one in back.data], back.has_more) == ([made[2], made[1]], True)
    assert [one.id for one in back.auto_paging_iter()] == made[1:]
    with pytest.raises(stripe.InvalidRequestError):
        offline.client.v1.customers.list({"starting_after": "cus_none"})
    with pytest.raises(stripe.InvalidRequestError):
        offline.client.v1.customers.list({"limit": 101})


def test_events_are_filtered_by_type_time_and_delivery(offline: Offline) -> None:
    """One type, several, a wildcard; since a moment; and what was delivered."""
    offline.price()
    offline.customer()
    events = offline.client.v1.events
    assert [one.type for one in events.list({"type": "price.created"}).data] == ["price.created"]
    both = events.list({"types": ["price.created", "customer.created"]}).data
    assert [one.type for one in both] == ["customer.created", "price.created"]
    assert [one.type for one in events.list({"type": "product.*"}).data] == ["product.created"]
    later: Any = {"gt": offline.world.now + 10}
    assert not events.list({"created": later}).data
    assert len(events.list({"delivery_success": False}).data) == 3
    one = events.retrieve(both[0].id)
    assert (one.id, one.pending_webhooks) == (both[0].id, 1)


def test_customers_are_found_by_their_metadata(offline: Offline) -> None:
    """Search takes clauses joined by AND, quotes in either way, and refuses what it cannot read."""
    wanted = offline.customer("it's me")
    offline.customer("another")
    search = offline.client.v1.customers.search
    assert [c.id for c in search({"query": "metadata['user_id']:'it\\'s me'"}).data] == [wanted]
    both = 'metadata["user_id"]:"it\'s me" AND email:"nobody@example.com"'
    assert not search({"query": both}).data
    with pytest.raises(stripe.InvalidRequestError):
        search({"query": "user_id is me"})
    with pytest.raises(stripe.InvalidRequestError):
        search({"query": "shoe_size:'44'"})
    price = offline.price(lookup_key="a", metadata={"plan_id": "1"})
    offline.price(lookup_key="b", metadata={"plan_id": "1"})
    prices = offline.client.v1.prices.search
    found = prices({"query": "metadata['plan_id']:'1' AND active:'true' AND lookup_key:'a'"})
    assert [one.id for one in found.data] == [price]


def test_a_search_is_paged_to_its_end(offline: Offline) -> None:
    """The SDK's own pages: each customer once, and then no more."""
    made = {offline.customer() for _ in range(5)}
    query: Any = {"query": "metadata['user_id']:'user'", "limit": 2}
    found = [one.id for one in offline.client.v1.customers.search(query).auto_paging_iter()]
    assert (len(found), set(found)) == (5, made)
    with pytest.raises(stripe.InvalidRequestError, match="Invalid page"):
        offline.client.v1.customers.search(query | {"page": "x"})


def test_a_key_may_come_as_the_reference_writes_it(offline: Offline) -> None:
    """`curl -u sk_test_…:` is basic authentication; what is none is refused."""
    key = base64.b64encode(f"{KEY}:".encode()).decode()
    assert asked(offline, "GET", "/v1/balance", Authorization=f"Basic {key}")[0] == 200
    live = base64.b64encode(b"sk_live_x:").decode()
    for wrong in (live, "no base64", "/w=="):
        assert asked(offline, "GET", "/v1/balance", Authorization=f"Basic {wrong}")[0] == 401


def test_a_lookup_key_moves_only_when_told_to(offline: Offline) -> None:
    """A second price may not take the key, unless it is transferred; then the first has none."""
    old = offline.price(lookup_key="plan_1_usd")
    with pytest.raises(stripe.InvalidRequestError):
        offline.price(3900, lookup_key="plan_1_usd")
    new = offline.price(3900, lookup_key="plan_1_usd", transfer_lookup_key=True)
    found = offline.client.v1.prices.list({"lookup_keys": ["plan_1_usd"]}).data
    assert [price.id for price in found] == [new]
    assert offline.client.v1.prices.retrieve(old).lookup_key is None


def test_the_default_price_of_a_product_cannot_be_archived(offline: Offline) -> None:
    """Another default has to be set first."""
    price = offline.price()
    product = str(offline.client.v1.prices.retrieve(price).product)
    offline.client.v1.products.update(product, {"default_price": price})
    with pytest.raises(stripe.InvalidRequestError):
        offline.client.v1.prices.update(price, {"active": False})
    offline.client.v1.products.update(product, {"default_price": ""})
    assert offline.client.v1.prices.update(price, {"active": False}).active is False


def test_metadata_is_merged_and_an_empty_value_takes_a_key_away(offline: Offline) -> None:
    """Names not mentioned stay; a product may have an id of its own, once."""
    products = offline.client.v1.products
    products.create({"id": "prod_mine", "name": "A", "metadata": {"a": "1", "2": "b"}})
    changed = products.update("prod_mine", {"metadata": {"a": "", "c": "3"}})
    assert changed.metadata.to_dict() == {"2": "b", "c": "3"}
    with pytest.raises(stripe.InvalidRequestError) as error:
        products.create({"id": "prod_mine", "name": "B"})
    assert error.value.code == "resource_already_exists"


def test_an_older_version_is_answered_in_its_own_shape(offline: Offline) -> None:
    """Before basil the period is on the subscription; the events keep the endpoint's version."""
    contract = offline.subscription(offline.price(), offline.customer())
    path = f"/v1/subscriptions/{contract}"
    _, headers, old = asked(offline, "GET", path, Stripe_Version="2024-06-20")
    _, _, new = asked(offline, "GET", path)
    assert "current_period_end" in old
    assert "current_period_end" not in new
    assert headers["stripe-version"] == "2024-06-20"
    assert asked(offline, "GET", path, Stripe_Version="tomorrow")[0] == 400
    (event,) = offline.objects("customer.subscription.created")
    assert "current_period_end" not in event


def test_expansions_reach_into_lists_and_what_is_none_is_refused(offline: Offline) -> None:
    """data.customer in a list, lists that are told on request only, and an error for the rest."""
    contract = offline.subscription(offline.price(), offline.customer())
    listed = offline.client.v1.subscriptions.list({"expand": ["data.customer"]})
    assert isinstance(listed.data[0].customer, stripe.Customer)
    one = offline.client.v1.subscriptions.retrieve(
        contract, {"expand": ["latest_invoice.payments"]}
    )
    assert isinstance(one.latest_invoice, stripe.Invoice)
    assert one.latest_invoice.payments is not None
    assert one.latest_invoice.payments.data[0].status == "paid"
    with pytest.raises(stripe.InvalidRequestError):
        offline.client.v1.subscriptions.retrieve(contract, {"expand": ["nonsense"]})


def test_refunds_go_as_far_as_the_charge(offline: Offline) -> None:
    """A part, the rest, and then charge_already_refunded."""
    session = offline.session(offline.price(500, interval=None), offline.customer())
    offline.world.pay(session, GOOD)
    intent = str(offline.client.v1.checkout.sessions.retrieve(session).payment_intent)
    refunds = offline.client.v1.refunds
    part = refunds.create({"payment_intent": intent, "amount": 200, "metadata": {"why": "x"}})
    assert (part.status, part.amount, part.metadata and part.metadata["why"]) == (
        "succeeded",
        200,
        "x",
    )
    with pytest.raises(stripe.InvalidRequestError):
        refunds.create({"payment_intent": intent, "amount": 301})
    assert refunds.create({"payment_intent": intent}).amount == 300
    with pytest.raises(stripe.InvalidRequestError) as error:
        refunds.create({"payment_intent": intent})
    assert error.value.code == "charge_already_refunded"
    assert [one.amount for one in refunds.list({"payment_intent": intent}).data] == [300, 200]
    assert offline.types().count("charge.refunded") == 2


def test_a_session_can_be_expired_once(offline: Offline) -> None:
    """It says so in an event, has no address any more, and cannot be paid."""
    session = offline.session(offline.price(), offline.customer())
    assert offline.client.v1.checkout.sessions.expire(session).status == "expired"
    assert offline.client.v1.checkout.sessions.retrieve(session).url is None
    with pytest.raises(stripe.InvalidRequestError):
        offline.client.v1.checkout.sessions.expire(session)
    assert not isinstance(offline.world.pay(session, GOOD), Paid)
    assert offline.types()[-1] == "checkout.session.expired"


def test_a_deleted_customer_is_a_stub_and_their_contract_ends(offline: Offline) -> None:
    """The stub says deleted; nothing can be opened for them any more."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(), customer)
    offline.client.v1.customers.delete(customer)
    assert offline.client.v1.customers.retrieve(customer).deleted is True
    assert offline.client.v1.subscriptions.retrieve(contract).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.portal(customer)
    assert refused(error) == (400, "resource_missing", "customer")


def test_the_account_has_a_balance_and_its_endpoint(offline: Offline) -> None:
    """What checks of keys and endpoints ask for."""
    assert offline.client.v1.balance.retrieve().livemode is False
    assert not offline.client.v1.webhook_endpoints.list().data
    offline.world.serve_to("http://127.0.0.1:1/hook", SECRET)
    (endpoint,) = offline.client.v1.webhook_endpoints.list().data
    assert (endpoint.status, endpoint.api_version) == ("enabled", stripe.api_version)


def test_portal_links_are_checked_against_the_customer(offline: Offline) -> None:
    """A deep link needs a running contract of that very customer."""
    customer, other = offline.customer("one"), offline.customer("other")
    contract = offline.subscription(offline.price(), customer)
    opened = offline.client.v1.billing_portal.sessions.create({"customer": customer})
    assert opened.url == f"{offline.url}/p/session/{opened.id}"
    where = "flow_data[subscription_update][subscription]"
    flow = {"type": "subscription_update", "subscription_update": {"subscription": contract}}
    assert offline.portal(customer, flow_data=flow)
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.portal(other, flow_data=flow)
    assert refused(error) == (400, None, where)
    offline.client.v1.subscriptions.cancel(contract)
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.portal(customer, flow_data=flow)
    assert refused(error) == (400, None, where)
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.portal(customer, flow_data={"type": "subscription_update"})
    assert error.value.code == "parameter_missing"


def test_an_open_invoice_is_paid_or_refused_by_the_api(offline: Offline) -> None:
    """402 leaves its traces and the replay of its key; a good card then pays."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(), customer, LATER)
    offline.renew(contract, seconds_later=DAY)
    (owed,) = offline.client.v1.invoices.list({"status": "open"}).data
    for _ in range(2):
        with pytest.raises(stripe.CardError) as error:
            offline.client.v1.invoices.pay(owed.id, options={"idempotency_key": "pay"})
        assert error.value.error is not None
        assert error.value.error.decline_code == "generic_decline"
    assert offline.types().count("invoice.payment_failed") == 2
    offline.world.set_card(offline.portal(customer), GOOD)
    assert offline.client.v1.invoices.pay(owed.id).status == "paid"
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        offline.client.v1.invoices.pay(owed.id)
    assert refusal.value.code == "invoice_already_paid"


def test_a_fault_of_its_own_is_an_error_that_can_be_read(
    offline: Offline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 with Stripe's body, and nothing of the half-done act is kept."""

    def break_off(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("sandbox.stripe.goods.Goods.announce", break_off)
    status, _, body = asked(offline, "POST", "/v1/customers", {"name": "A"})
    assert (status, body["error"]["type"]) == (500, "api_error")
    assert "secret detail" not in body["error"]["message"]
    assert not offline.client.v1.customers.list().data


def test_many_at_once_make_one_thing_under_one_key(offline: Offline) -> None:
    """Twenty requests with one key: one customer, the others replayed or told to wait."""
    answers: list[tuple[int, Any]] = []

    def ask() -> None:
        status, _, body = asked(offline, "POST", "/v1/customers", {}, Idempotency_Key="same")
        answers.append((status, body.get("id")))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} <= {200, 409}
    assert len({made for status, made in answers if status == 200}) == 1
    assert len(offline.client.v1.customers.list().data) == 1
