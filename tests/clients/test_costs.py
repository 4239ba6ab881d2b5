"""`@costs` in Flask, FastAPI and Django: paid by who succeeds, refused to who cannot pay."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import django
import fastapi
import flask
import httpx
import pytest
from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, JsonResponse
from django.urls import path as django_path

from fiko_client import AsyncClient, Client, InsufficientTokens, Patience, ServiceAway, Spool, costs
from fiko_client.web import fastapi_errors, flask_errors
from tests.clients.fake_service import URL, FakeService, a_problem, token_for

AWAY = httpx.ConnectError("nobody listens")
HEADER = "X-User"
QUICK = Patience(attempts=2, first_pause=0.001)

# Asks an app for a path as a user: status and JSON.
Ask = Callable[[str, str], tuple[int, Any]]


@pytest.fixture
def service() -> FakeService:
    """A service where user_1 has tokens for two views and a bit."""
    return FakeService(balances={"user_1": 12})


@pytest.fixture
def client(service: FakeService, tmp_path: Path) -> Client:
    """A client without a user."""
    return Client(URL, spool=tmp_path / "spool", patience=QUICK, transport=service.transport)


@pytest.fixture
def async_client(service: FakeService, tmp_path: Path) -> AsyncClient:
    """The same for an event loop."""
    return AsyncClient(URL, spool=tmp_path / "spool", patience=QUICK, transport=service.transport)


def flask_app(client: Client) -> Ask:
    """A Flask application with views that succeed, refuse and fail, plain and async."""
    app = flask.Flask(__name__)
    flask_errors(app)

    def token(**_named: str) -> str:
        return token_for(flask.request.headers[HEADER])

    paid = costs(5, client, token=token)

    @app.get("/good/<name>")
    @paid
    def good(name: str) -> dict[str, str]:
        return {"made": name}

    @app.get("/refuses/<name>")
    @paid
    def refuses(name: str) -> tuple[dict[str, str], int]:
        return {"made": name}, 422

    @app.get("/fails/<name>")
    @paid
    def fails(name: str) -> dict[str, str]:
        raise ZeroDivisionError(name)

    def ask(path: str, user: str) -> tuple[int, Any]:
        app.testing = False
        answer = app.test_client().get(path, headers={HEADER: user})
        return answer.status_code, answer.get_json(force=True, silent=True)

    return ask


def fastapi_app(client: Client | AsyncClient, *, plain: bool) -> Ask:
    """The same in FastAPI."""
    app = fastapi.FastAPI()
    fastapi_errors(app)

    def token(request: fastapi.Request, **_named: str) -> str:
        return token_for(request.headers[HEADER])

    paid = costs(5, client, token=token)
    if plain:

        @app.get("/good/{name}")
        @paid
        def good(request: fastapi.Request, name: str) -> dict[str, str]:
            assert request
            return {"made": name}

    else:

        @app.get("/good/{name}")
        @paid
        async def also_good(request: fastapi.Request, name: str) -> dict[str, str]:
            assert request
            return {"made": name}

    @app.get("/refuses/{name}", response_model=None)
    @paid
    async def refuses(request: fastapi.Request, name: str) -> fastapi.Response:
        assert request
        return fastapi.Response(name, 422)

    @app.get("/fails/{name}")
    @paid
    async def fails(request: fastapi.Request, name: str) -> None:
        assert request
        raise fastapi.HTTPException(500, name)

    return asgi_asker(app)


def asgi_asker(app: Any) -> Ask:
    """Asks an ASGI application, each time on an event loop of its own."""

    async def asked(path: str, user: str) -> tuple[int, Any]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as browser:
            answer = await browser.get(path, headers={HEADER: user})
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.status_code, answer.json() if is_json else None

    return lambda path, user: asyncio.run(asked(path, user))


urlpatterns: list[Any] = []


def django_app(client: Client | AsyncClient, *, plain: bool) -> Ask:
    """The same in Django, by WSGI or by ASGI."""
    if not django_settings.configured:
        django_settings.configure(
            ROOT_URLCONF=__name__,
            SECRET_KEY="a key of the tests",
            ALLOWED_HOSTS=["*"],
            MIDDLEWARE=["fiko_client.web.DjangoErrors"],
            LOGGING_CONFIG=None,
        )
        django.setup()

    def token(request: Any, **_named: str) -> str:
        return token_for(request.headers[HEADER])

    paid: Any = costs(5, client, token=token)
    if plain:

        def good(_request: Any, name: str) -> Any:
            return JsonResponse({"made": name})

        def refuses(_request: Any, name: str) -> Any:
            return HttpResponse(name, status=422)

        def fails(_request: Any, name: str) -> Any:
            raise ZeroDivisionError(name)

        views: list[Any] = [good, refuses, fails]
    else:

        async def also_good(_request: Any, name: str) -> Any:
            return JsonResponse({"made": name})

        async def also_refuses(_request: Any, name: str) -> Any:
            return HttpResponse(name, status=422)

        async def also_fails(_request: Any, name: str) -> Any:
            raise ZeroDivisionError(name)

        views = [also_good, also_refuses, also_fails]
    names = ("good", "refuses", "fails")
    urlpatterns[:] = [
        django_path(f"{name}/<str:name>", paid(view))
        for name, view in zip(names, views, strict=True)
    ]
    django.urls.clear_url_caches()
    return wsgi_asker(WSGIHandler()) if plain else asgi_asker(ASGIHandler())


def wsgi_asker(app: Any) -> Ask:
    """Asks a WSGI application."""

    def ask(path: str, user: str) -> tuple[int, Any]:
        transport = httpx.WSGITransport(app, raise_app_exceptions=False)
        with httpx.Client(transport=transport, base_url="http://app.test") as browser:
            answer = browser.get(path, headers={HEADER: user})
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.status_code, answer.json() if is_json else None

    return ask


KINDS = (
    *("flask", "fastapi plain", "fastapi async", "fastapi async, client without a loop"),
    *("django plain", "django async"),
)


@pytest.fixture(params=KINDS)
def ask(request: pytest.FixtureRequest, client: Client, async_client: AsyncClient) -> Iterator[Ask]:
    """An application of each kind."""
    makers: dict[str, Callable[[], Ask]] = {
        "flask": lambda: flask_app(client),
        "fastapi plain": lambda: fastapi_app(client, plain=True),
        "fastapi async": lambda: fastapi_app(async_client, plain=False),
        "fastapi async, client without a loop": lambda: fastapi_app(client, plain=False),
        "django plain": lambda: django_app(client, plain=True),
        "django async": lambda: django_app(async_client, plain=False),
    }
    yield makers[request.param]()
    urlpatterns.clear()


def test_a_view_that_succeeds_is_paid(ask: Ask, service: FakeService) -> None:
    """Once each time, by who asked, with the view's name as the reason."""
    assert ask("/good/x", "user_1") == (200, {"made": "x"})
    assert service.balances["user_1"] == 7
    [entry] = service.entries.values()
    assert entry["reason"] in ("good", "also_good")


@pytest.mark.parametrize("path", ["/refuses/x", "/fails/x"])
def test_a_view_that_fails_costs_nothing(ask: Ask, service: FakeService, path: str) -> None:
    """Whether it answers with an error or raises one."""
    status, _ = ask(path, "user_1")
    assert status in (422, 500)
    assert service.balances["user_1"] == 12
    assert service.debits() == []


def test_who_cannot_pay_is_told_what_to_buy(ask: Ask, service: FakeService) -> None:
    """402 as the API says it; the view does not run, and nothing is asked of the ledger."""
    status, told = ask("/good/x", "user_3")
    assert status == 402
    assert (told["code"], told["balance"], told["missing"], told["amount"]) == (
        "insufficient_tokens",
        0,
        5,
        5,
    )
    assert [each["checkout"] for each in told["buy"]] == [
        {"plan_type": "token", "plan_id": 4},
        {"plan_type": "token", "plan_id": 3},
    ]
    assert service.debits() == []


def test_while_the_service_is_away_users_are_told(ask: Ask, service: FakeService) -> None:
    """503 with when to come back."""
    service.failures.extend([AWAY] * 2)
    status, told = ask("/good/x", "user_1")
    assert (status, told["code"]) == (503, "unreachable")


def view(counted: list[str]) -> str:
    """A view that notes that it ran."""
    counted.append("ran")
    return "made"


def test_tokens_spent_elsewhere_meanwhile_withhold_the_answer(
    client: Client, service: FakeService
) -> None:
    """The view ran, and nobody gets for nothing what it made."""

    def spends_elsewhere() -> str:
        service.balances["user_1"] = 0
        return "made"

    paid = costs(5, client.as_user(token_for("user_1")))(spends_elsewhere)
    with pytest.raises(InsufficientTokens):
        paid()


def test_in_spooling_mode_the_view_runs_while_the_service_is_away(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    """What it costs is kept, and paid once the spool is settled."""
    service.failures.extend([AWAY] * 9)
    payer = client.as_user(token_for("user_1"))
    ran: list[str] = []
    assert costs(5, payer, away="spool")(view)(ran) == "made"
    assert (ran, len(Spool(tmp_path / "spool"))) == (["ran"], 1)
    service.failures.clear()
    assert payer.settle_spool().settled == 1
    assert service.spent() == 5


def test_by_default_the_view_does_not_run_while_the_service_is_away(
    client: Client, service: FakeService
) -> None:
    """Nobody could say whether it will be paid."""
    service.failures.extend([AWAY] * 2)
    ran: list[str] = []
    with pytest.raises(ServiceAway):
        costs(5, client.as_user(token_for("user_1")))(view)(ran)
    assert ran == []


def test_a_key_of_the_job_makes_a_repeat_cost_nothing_more(
    client: Client, service: FakeService
) -> None:
    """It is called with what the view is called with."""
    payer = client.as_user(token_for("user_1"))

    @costs(5, payer, reason="a report", key=lambda number: f"report_{number}")
    def report(number: int) -> int:
        return number

    assert [report(1), report(1), report(2)] == [1, 1, 2]
    assert service.balances["user_1"] == 2
    assert {each["reason"] for each in service.entries.values()} == {"a report"}


def test_views_at_the_same_time_do_not_count_on_the_same_tokens(service: FakeService) -> None:
    """Of ten, the two run that can be paid; when one of them fails its tokens are free again."""
    lock, gate, ran = threading.Lock(), threading.Event(), []

    def answer(request: httpx.Request) -> httpx.Response:
        with lock:
            return service(request)

    client = Client(URL, patience=QUICK, transport=httpx.MockTransport(answer))
    payer = client.as_user(token_for("user_1"))

    @costs(5, payer)
    def slow(number: int) -> str:
        ran.append(number)
        assert gate.wait(10)
        return "made"

    def ask(number: int) -> str:
        try:
            return slow(number)
        except InsufficientTokens:
            return "refused"

    with ThreadPoolExecutor(10) as pool:
        futures = [pool.submit(ask, number) for number in range(10)]
        while sum(each.done() for each in futures) < 8:
            assert not gate.wait(0.01)
        gate.set()
        answers = [each.result() for each in futures]
    assert sorted(answers) == ["made"] * 2 + ["refused"] * 8
    assert (len(ran), service.balances["user_1"]) == (2, 2)
    assert slow.__name__ == "slow"


@pytest.mark.parametrize(
    ("first_fails", "outcome"), [(False, "5 tokens; 6 are needed"), (True, "made")]
)
def test_a_balance_that_moves_meanwhile_is_read_again(
    client: Client, service: FakeService, *, first_fails: bool, outcome: str
) -> None:
    """Another view ends between the count and the balance: its tokens do not count twice."""
    payer = client.as_user(token_for("user_1"))
    service.balances["user_1"] = 10
    inside, go_on = threading.Event(), threading.Event()

    @costs(5, payer, failed=lambda _answer: first_fails)
    def first() -> None:
        inside.set()
        assert go_on.wait(10)

    other = threading.Thread(target=first)
    other.start()
    assert inside.wait(10)

    def end_the_other() -> None:
        service.on_balance = lambda: None
        go_on.set()
        other.join(10)

    service.on_balance = end_the_other
    try:
        made = costs(6, payer)(view)([])
    except InsufficientTokens as error:
        made = error.detail
    assert outcome in made
    balance_reads = [each for each in service.seen if each.url.path == "/billing/tokens/"]
    assert len(balance_reads) == 3


def test_a_view_may_fail_in_its_own_way(client: Client, service: FakeService) -> None:
    """The app says what a failure is."""
    payer = client.as_user(token_for("user_1"))
    tried = costs(5, payer, failed=lambda answer: answer is None)(lambda answer: answer)
    assert tried(None) is None
    assert service.spent() == 0
    assert tried(0) == 0
    assert service.spent() == 5


def test_a_fault_of_the_app_is_not_told_to_its_users(ask: Ask, service: FakeService) -> None:
    """A token that the service does not take is nothing that a user could mend."""
    service.failures.append(a_problem(401, "not_authenticated"))
    status, _ = ask("/good/x", "user_1")
    assert status == 500


def test_a_cost_is_one_token_or_more(client: Client, async_client: AsyncClient) -> None:
    """And a view without async cannot await; both are said when the app is loaded."""
    with pytest.raises(ValueError, match="tokens"):
        costs(0, client)
    with pytest.raises(TypeError, match="async"):
        costs(5, async_client)(view)
