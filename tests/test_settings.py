"""Settings: where they come from, what is wrong with them, and that secrets stay secret."""

from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn
from sqlalchemy import create_engine, make_url

import settings

FULL = {
    "DATABASE_URL": "postgresql://app:pass-word-1@db/billing",
    "REDIS_URL": "redis://:pass-word-2@redis:6379/0",
    "STRIPE_PUBLISHABLE_KEY": "pk_test_public",
    "STRIPE_SECRET_KEY": "sk_test_pass-word-3",
    "STRIPE_WEBHOOK_SECRET": "whsec_pass-word-4, whsec_pass-word-5",
    "JWT_SECRET": "pass-word-6 that is long enough for HS256",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in, away from any .env of the machine."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems_of(variables: dict[str, str], *needs: str) -> list[str]:
    """What is reported about these variables, line by line."""
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(needs, variables)
    return str(caught.value).splitlines()


def test_nothing_set_means_defaults() -> None:
    """What the contract names as defaults, and empty strings for the rest."""
    found = settings.load(environ={})
    assert (found.stripe_enabled, found.stripe_test_mode) == (True, True)
    assert (found.stripe_currency, found.log_format, found.port) == ("usd", "json", 8000)
    assert (found.host, found.intake, found.data_dir) == ("127.0.0.1", "auto", Path(".data"))
    assert found.trials == "once"
    assert found.database_url == found.redis_url == found.celery_broker_url == ""
    assert found.stripe_webhook_secrets == found.cors_origins == ()


def test_everything_set_is_read() -> None:
    """Each variable lands in its field."""
    found = settings.load(
        environ=FULL
        | {
            "STRIPE_ENABLED": "false",
            "STRIPE_CURRENCY": "EUR",
            "TRIALS": "PER_PLAN",
            "PORT": "9000",
            "CORS_ORIGINS": "https://App.example.com/, http://localhost:3000",
            "STRIPE_API_BASE": "http://127.0.0.1:9/",
            "BILLING_DATA": "elsewhere",
        }
    )
    assert found.stripe_webhook_secrets == ("whsec_pass-word-4", "whsec_pass-word-5")
    assert (found.stripe_enabled, found.stripe_currency, found.port) == (False, "eur", 9000)
    assert found.cors_origins == ("https://app.example.com", "http://localhost:3000")
    assert found.stripe_api_base == "http://127.0.0.1:9"
    assert found.trials == "per_plan"
    assert found.data_dir == Path("elsewhere")
    assert found.celery_broker_url == found.redis_url == FULL["REDIS_URL"]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_the_database_url_names_the_driver(scheme: str) -> None:
    """SQLAlchemy 2.1 takes a bare postgresql:// for psycopg 3."""
    found = settings.load(environ={"DATABASE_URL": f"{scheme}://u:p@h:5432/d?host=/run"})
    assert found.database_url == "postgresql+psycopg2://u:p@h:5432/d?host=/run"


@pytest.mark.parametrize("url", ["redis://h", "rediss://h:1/2", "unix:///run/redis.sock?db=1"])
def test_every_redis_scheme_is_accepted(url: str) -> None:
    """Plain, TLS, or a socket on this machine."""
    assert settings.load(environ={"REDIS_URL": url}).redis_url == url


def test_the_broker_may_be_rabbitmq() -> None:
    """CELERY_BROKER_URL takes amqp://, which REDIS_URL does not."""
    variables = {"REDIS_URL": "redis://h", "CELERY_BROKER_URL": "amqp://u:p@h//"}
    assert settings.load(environ=variables).celery_broker_url == "amqp://u:p@h//"
    assert len(problems_of({"REDIS_URL": "amqp://h"})) == 1


def test_the_environment_wins_over_env_file_and_env_file_over_development(
    elsewhere: Path,
) -> None:
    """`up` never overrides what someone set on purpose."""
    (elsewhere / "data").mkdir()
    (elsewhere / "data" / "dev.env").write_text("PORT=1\nHOST=dev\nJWT_ISSUER=dev\nJWT_AUDIENCE=d")
    (elsewhere / ".env").write_text('PORT=2\nHOST="env file"\nBILLING_DATA=data\nJWT_ISSUER=')
    found = settings.load(environ={"PORT": "3", "JWT_AUDIENCE": ""})
    assert (found.port, found.host, found.jwt_issuer) == (3, "env file", "dev")
    assert found.jwt_audience == "d", "an empty variable counts as not set"


def test_a_dollar_sign_in_a_file_is_a_dollar_sign(elsewhere: Path) -> None:
    """Secrets may hold one; nothing is interpolated."""
    (elsewhere / ".env").write_text("JWT_ISSUER=${HOME}$x")
    assert settings.load(environ={}).jwt_issuer == "${HOME}$x"


def test_an_unreadable_file_is_reported(elsewhere: Path) -> None:
    """By name, and what to do."""
    (elsewhere / ".env").write_bytes(b"\xff\xfe")
    assert problems_of({}) == [".env cannot be read: it is not UTF-8 text. Mend or remove it."]


BAD = {
    "DATABASE_URL": "mysql://u:pass-word-1@h/d",
    "REDIS_URL": "http://h",
    "CELERY_BROKER_URL": "kafka://h",
    "REDIS_COPIES": "ten",
    "INTAKE": "both",
    "STRIPE_ENABLED": "perhaps",
    "STRIPE_TEST_MODE": "2",
    "STRIPE_PUBLISHABLE_KEY": "sk_test_pass-word-2",
    "STRIPE_SECRET_KEY": "pk_test_x",
    "STRIPE_WEBHOOK_SECRET": "whsec_ok,we_pass-word-3",
    "STRIPE_API_BASE": "api.stripe.com",
    "STRIPE_CURRENCY": "dollar",
    "STRIPE_SUCCESS_URL": "/thanks",
    "STRIPE_CANCEL_URL": "javascript:alert(1)",
    "STRIPE_PORTAL_RETURN_URL": "https://",
    "STRIPE_ACCOUNT": "org_pass-word-5",
    "JWT_SECRET": "pass-word-4",
    "JWT_JWKS_URL": "file:///etc/passwd",
    "ALLOWED_REDIRECT_ORIGINS": "https://a.example.com/path",
    "CORS_ORIGINS": "https://a.example.com, *",
    "TRIALS": "twice",
    "LOG_FORMAT": "xml",
    "LOG_LEVEL": "loud",
    "PORT": "65536",
}


def test_all_problems_are_reported_at_once_by_name() -> None:
    """One line for each; nobody has to fix them one start at a time."""
    lines = problems_of(BAD)
    assert sorted(line.split()[0] for line in lines) == sorted(BAD)


@pytest.mark.parametrize("name", BAD)
def test_each_problem_says_how_to_fix_it_and_not_what_was_written(name: str) -> None:
    """A wrong value may still be a secret."""
    [line] = problems_of({name: BAD[name]})
    assert line.startswith(f"{name} is wrong: it must be ")
    assert BAD[name] not in line
    assert "pass-word" not in line


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("STRIPE_SECRET_KEY", "pk_test_x", "this is the publishable key"),
        ("STRIPE_SECRET_KEY", "whsec_x", "this is the secret of a webhook endpoint"),
        ("STRIPE_PUBLISHABLE_KEY", "sk_test_x", "this is a secret key"),
        ("STRIPE_PUBLISHABLE_KEY", "rk_live_x", "this is a restricted key"),
    ],
)
def test_a_key_of_another_kind_is_named(name: str, value: str, kind: str) -> None:
    """Whoever copied from the wrong line of the dashboard is told which it was."""
    [line] = problems_of({name: value})
    assert kind in line


@pytest.mark.parametrize("name", ["JWT_JWKS_URL", "STRIPE_API_BASE"])
def test_what_is_believed_comes_by_https_or_from_this_machine(name: str) -> None:
    """Whoever sits on the way could hand out keys that sign any user, or say what is paid."""
    for safe in (
        "https://id.example.com/keys",
        "http://127.0.0.1:8001/keys",
        "http://127.1.2.3/keys",
        "http://localhost:8001/keys",
        "http://[::1]:8001/keys",
    ):
        assert settings.load(environ={name: safe})
    for exposed in (
        "http://id.example.com/keys",
        "http://10.0.0.7:8001/keys",
        "http://localhost.example.com/keys",
        "http://127.0.0.1.example.com/keys",
        "http://localhost@id.example.com/keys",
        "HTTP://id.example.com/keys",
        "http://[::2]/keys",
    ):
        [line] = problems_of({name: exposed})
        assert line.startswith(f"{name} is wrong: it must be an https:// URL")
        assert "example" not in line


@pytest.mark.parametrize(
    "origin",
    [
        "https://user@a.example.com",
        "https://a.example.com?x",
        "https://a.example.com#x",
        "https://a\\b.example.com",
        "https://a.example.com:port",
        "ftp://a.example.com",
        "a.example.com",
        "*",
    ],
)
def test_an_origin_is_a_scheme_a_host_and_nothing_more(origin: str) -> None:
    """What it takes to compare origins safely."""
    assert len(problems_of({"ALLOWED_REDIRECT_ORIGINS": origin})) == 1


def test_what_is_needed_and_missing_is_reported_with_the_rest() -> None:
    """Missing and wrong in one go; a wrong one is not called missing as well."""
    lines = problems_of(
        {"REDIS_URL": "nonsense"}, "database_url", "redis_url", "stripe_webhook_secrets"
    )
    assert [line.split(":")[0] for line in lines] == [
        "REDIS_URL is wrong",
        "DATABASE_URL is not set",
        "STRIPE_WEBHOOK_SECRET is not set",
    ]


def test_a_live_key_in_test_mode_is_refused() -> None:
    """And the other way round: nobody charges real cards by accident."""
    assert len(problems_of({"STRIPE_SECRET_KEY": "sk_live_x"})) == 1
    live = {"STRIPE_TEST_MODE": "False"}
    assert len(problems_of(live | {"STRIPE_SECRET_KEY": "rk_test_x"})) == 1
    found = settings.load(environ=live | {"STRIPE_SECRET_KEY": "rk_live_x"})
    assert found.stripe_secret_key == "rk_live_x"


def test_secrets_are_not_in_the_repr() -> None:
    """Settings end up in tracebacks."""
    found = settings.load(environ=FULL)
    assert "pass-word" not in repr(found)
    assert "pk_test_public" in repr(found)


def test_settings_cannot_be_changed() -> None:
    """One object, read once, the same for everyone."""
    with pytest.raises(AttributeError):
        settings.load(environ={}).port = 1  # type: ignore[misc] # That is what is tested.


@pytest.mark.parametrize(
    ("given", "spelt"),
    [
        ("postgresql://u:p@h/db", "postgresql+psycopg2://u:p@h/db"),
        ("postgresql:///db?host=/run/pg", "postgresql+psycopg2:///db?host=/run/pg"),
        (
            "postgresql://u:p%40@h1:5432,h2:5433/db?target_session_attrs=any",
            "postgresql+psycopg2://u:p%40@/db?host=h1,h2&port=5432,5433&target_session_attrs=any",
        ),
        (
            "postgres://h1,[::2]/db",
            "postgresql+psycopg2:///db?host=h1,::2&port=5432,5432&target_session_attrs=read-write",
        ),
        (
            "postgresql://u:p@/db?host=h1:1&host=h2:2",
            "postgresql+psycopg2://u:p@/db?host=h1,h2&port=1,2&target_session_attrs=read-write",
        ),
        (
            "postgresql://u:p@/db?host=h1,h2&port=1,2",
            "postgresql+psycopg2://u:p@/db?host=h1,h2&port=1,2&target_session_attrs=read-write",
        ),
    ],
)
def test_a_database_may_have_several_hosts(given: str, spelt: str) -> None:
    """In a form that both libpq and SQLAlchemy read; the one that takes writes is wanted."""
    found = settings.load(environ={"DATABASE_URL": given}).database_url
    assert found == spelt
    read_by_sqlalchemy = make_url(found).translate_connect_args()
    _, options = create_engine(found).dialect.create_connect_args(make_url(found))
    read_by_libpq = parse_dsn(found.replace("+psycopg2", "", 1))
    assert options == {name: read_by_libpq[name] for name in options}
    assert read_by_sqlalchemy["database"] == read_by_libpq["dbname"] == "db"


@pytest.mark.parametrize("hosts", ["h1,", "h1:0,h2", "h1:x,h2", ",", "h1,h2:99999"])
def test_a_list_of_hosts_that_cannot_be_read_is_told(hosts: str) -> None:
    """And its password is not."""
    [problem] = problems_of({"DATABASE_URL": f"postgresql://u:pass-word-1@{hosts}/db"})
    assert problem.startswith("DATABASE_URL is wrong: it must be a URL like")
    assert "pass-word-1" not in problem


def test_brokers_may_be_several_rabbitmqs() -> None:
    """Separated as kombu wants it; all of one kind."""
    several = "amqp://q1:5672//; amqps://q2:5671//"
    found = settings.load(environ={"CELERY_BROKER_URL": several})
    assert found.celery_broker_url == "amqp://q1:5672//;amqps://q2:5671//"
    assert found.celery_queue_type == "quorum"
    for wrong in ("redis://h1;redis://h2", "amqp://h1;", "amqp://h1:x;amqp://h2"):
        [problem] = problems_of({"CELERY_BROKER_URL": wrong})
        assert problem.startswith("CELERY_BROKER_URL is wrong")


def test_how_many_copies_and_whether_a_pooler_is_between() -> None:
    """None and no, unless it is said."""
    found = settings.load(environ={})
    assert (found.database_copies, found.database_pooler) == (0, False)
    found = settings.load(environ={"DATABASE_COPIES": "1", "DATABASE_POOLER": "1"})
    assert (found.database_copies, found.database_pooler) == (1, True)
