"""URLs that name Sentinels: what they say, what is wrong with them, what Celery makes of them."""

import pytest
from kombu.utils.url import parse_url

import celery_config
import settings
from settings import Sentinels, SettingsError, parse_sentinels

URL = "redis+sentinel://me:p%40ss@s1:1,s2,[::1]:3/main/4?sentinel_password=other"
SENTINELS = Sentinels(
    hosts=(("s1", 1), ("s2", 26_379), ("::1", 3)),
    name="main",
    database=4,
    username="me",
    password="p@ss",
    sentinel_password="other",
)


def test_a_url_says_whom_to_ask_for_which_primary() -> None:
    """With a login for the servers, and another for the Sentinels."""
    assert parse_sentinels(URL) == SENTINELS
    found = parse_sentinels("redis+sentinel://:pw@h/billing")
    assert found == Sentinels((("h", 26_379),), "billing", password="pw")
    assert "p@ss" not in repr(SENTINELS)
    assert "other" not in repr(SENTINELS)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis+sentinel://:secret-9@h1,h2", "must end with the primary's name"),
        ("redis+sentinel://:secret-9@h1,h2/", "must end with the primary's name"),
        ("redis+sentinel://:secret-9@h1/name/0/1", "must end with the primary's name"),
        ("redis+sentinel://:secret-9@h1/name/first", "must be a number"),
        ("redis+sentinel://:secret-9@h1,,h2/name/0", "host is missing"),
        ("redis+sentinel://:secret-9@/name/0", "host is missing"),
        ("redis+sentinel://:secret-9@h1:0,h2/name/0", "port must be a number"),
        ("redis+sentinel://:secret-9@h1:x,h2/name/0", "port must be a number"),
        ("redis+sentinel://:secret-9@h1/name/0?password=secret-9", "behind the question mark"),
    ],
)
@pytest.mark.parametrize("variable", ["REDIS_URL", "CELERY_BROKER_URL"])
def test_what_is_wrong_is_said_and_no_secret_with_it(variable: str, url: str, says: str) -> None:
    """By the variable's name, in one line."""
    with pytest.raises(SettingsError) as caught:
        settings.load(environ={variable: url})
    assert str(caught.value).startswith(f"{variable} is wrong")
    assert says in str(caught.value)
    assert "secret-9" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_celery_and_its_scheduler_ask_the_same_sentinels() -> None:
    """Each of kombu and redbeat spells it in a way of its own."""
    app = celery_config.make_app(settings.load(environ={"REDIS_URL": URL}), publisher=True)
    urls = [parse_url(url) for url in app.conf.broker_url.split(";")]
    assert [(each["hostname"], each["port"]) for each in urls] == list(SENTINELS.hosts)
    # Every one has all: kombu may begin with any of them.
    assert {(each["userid"], each["password"], each["virtual_host"]) for each in urls} == {
        ("me", "p@ss", "4")
    }
    options = app.conf.broker_transport_options
    assert options["master_name"] == "main"
    assert options["sentinel_kwargs"]["password"] == "other"
    assert app.conf.redbeat_redis_url == "redis-sentinel://"
    redbeat = app.conf.redbeat_redis_options
    assert (redbeat["sentinels"], redbeat["service_name"]) == (list(SENTINELS.hosts), "main")
    assert (redbeat["username"], redbeat["password"], redbeat["db"]) == ("me", "p@ss", 4)


def test_tls_to_sentinels_is_refused_by_name() -> None:
    """Rather than spoken half of the way."""
    with pytest.raises(SettingsError, match=r"must be a URL that begins with redis://"):
        settings.load(environ={"REDIS_URL": "rediss+sentinel://:pw@h1,h2/main/0"})
