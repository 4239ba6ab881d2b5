"""Where buyers may be sent: every trick is refused, and what is allowed stays as it is written."""

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.checkout.redirects import (
    SESSION_PLACEHOLDER,
    URL_LENGTH_MAX,
    RedirectRefusedError,
    RedirectRules,
    with_session_placeholder,
)
from tests.examples import examples

APP = "https://app.example.com"
RULES = RedirectRules.of(
    [
        f"{APP}/billing?session={SESSION_PLACEHOLDER}",
        "https://pay.example.com:8443",
        "https://xn--bcher-kva.example",
        "http://localhost:3000",
        "http://127.0.0.1:5173/",
        "http://[::1]:8080",
        "http://intranet.example.com",
        "",
    ],
    allows_http_to_loopback=True,
)


@pytest.mark.parametrize(
    "url",
    [
        APP,
        f"{APP}/",
        f"{APP}/a/b?c=d&e={SESSION_PLACEHOLDER}#f",
        f"{APP}?next=https://evil.example.com",
        f"{APP}#https://evil.example.com",
        f"{APP}:443/done",
        "HTTPS://App.Example.COM/Done",
        "https://pay.example.com:8443/x",
        "https://xn--bcher-kva.example/",
        "http://localhost:3000/bought",
        "http://127.0.0.1:5173",
        "http://[::1]:8080/x",
        f"{APP}/%5C%0d%0a",
    ],
)
def test_an_address_of_an_allowed_origin_is_taken_as_it_is(url: str) -> None:
    """Path, query and fragment are the frontend's own business."""
    assert RULES.check(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/billing",
        "billing",
        "//app.example.com/",
        "///app.example.com",
        "https:app.example.com",
        "https:/app.example.com",
        "https:///app.example.com",
        "https://",
        "https://:443",
        "https://?app.example.com",
        "javascript:alert(1)",
        "javascript://app.example.com/%0aalert(1)",
        "data:text/html,x",
        "ftp://app.example.com/",
        "view-source:https://app.example.com",
        "http://app.example.com/",
        "http://intranet.example.com/",
        "https://app.example.com.evil.example/",
        "https://evil.example/app.example.com",
        "https://evilapp.example.com",
        "https://sub.app.example.com",
        "https://app.example.com.",
        "https://app.example.com:8443",
        "https://app.example.com:",
        "https://app.example.com:0",
        "https://app.example.com:99999",
        "https://app.example.com:443:443",
        "https://app.example.com:443@evil.example",
        "https://user@app.example.com",
        "https://user:word@app.example.com",
        "https://evil.example\\@app.example.com",
        "https://app.example.com\\@evil.example",
        "https:\\\\app.example.com",
        "https://app.example.com\\.evil.example",
        " https://app.example.com",
        "https://app.example.com ",
        "https://app.example.com/a b",
        "https://app.exa\tmple.com",
        "https://app.example.com/\r\nSet-Cookie: a=b",
        "https://app.example.com\0.evil.example",
        "https://app.example.com\x7f",
        "https://app%2eexample.com",
        "https://app.example.com%2f@evil.example",
        "https://app.example.com%00.evil.example",
        "https://bücher.example/",
        "https://app.еxample.com/",  # noqa: RUF001 - the look-alike is the point.
        "https://app。example。com/",
        "https://ａpp.example.com/",  # noqa: RUF001 - as above.
        f"{APP}/bücher",
        "https://localhost:3000",
        "http://localhost:3001",
        "http://localhost",
        "http://127.0.0.1.nip.example:5173",
        "http://2130706433:5173",
        "http://0x7f.1:5173",
        "http://127.1:5173",
        "http://[::ffff:127.0.0.1]:8080",
        "http://[::1%25eth0]:8080",
        f"{APP}/{'x' * URL_LENGTH_MAX}",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    """Nothing is repaired, because a browser might repair it otherwise."""
    with pytest.raises(RedirectRefusedError):
        RULES.check(url)


def test_in_production_even_this_machine_needs_https() -> None:
    """Plain http to oneself is for development."""
    rules = RedirectRules.of(["http://localhost:3000", APP], allows_http_to_loopback=False)
    with pytest.raises(RedirectRefusedError, match="https"):
        rules.check("http://localhost:3000/")
    assert rules.check(APP)


def test_without_any_origin_nothing_is_allowed() -> None:
    """Failing closed; also where what is configured is no address of a page."""
    rules = RedirectRules.of(["", "mailto:a@b", "https://u@h"], allows_http_to_loopback=True)
    for url in ("https://h", APP, "https://u@h", ""):
        with pytest.raises(RedirectRefusedError):
            rules.check(url)


PIECES = st.sampled_from(
    [
        *("https://", "http://", "HTTPS:", "//", "/", "\\", "@", ":", ":443", ":8443", ".", "%2e"),
        *("app.example.com", "evil.example", "localhost", "localhost:3000", "127.0.0.1:5173"),
        *("[::1]:8080", "?", "#", "\t", "\n", " ", "\0", "{CHECKOUT_SESSION_ID}", "%00", "é", "。"),
    ]
)


@examples()
@given(st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=60))
@example(f"{APP}@evil.example")
def test_whatever_is_allowed_leads_where_it_says(url: str) -> None:
    """Read by another parser, an allowed address has an allowed origin and no user."""
    try:
        RULES.check(url)
    except RedirectRefusedError:
        return
    found = urlsplit(url)
    port = found.port or {"http": 80, "https": 443}[found.scheme]
    assert (found.scheme, found.hostname, port) in {
        ("https", "app.example.com", 443),
        ("https", "pay.example.com", 8443),
        ("https", "xn--bcher-kva.example", 443),
        ("http", "localhost", 3000),
        ("http", "127.0.0.1", 5173),
        ("http", "::1", 8080),
    }
    assert "@" not in found.netloc
    assert url.isascii()
    assert url.isprintable()
    assert not re.search(r"[\s\\]", url)


@examples()
@given(
    st.from_regex(
        r"(/[a-z]{0,3}){0,3}(\?([a-z]=[a-z0-9%]{0,3}&?){0,3})?(#[a-z/?=]{0,6})?", fullmatch=True
    )
)
def test_the_placeholder_is_added_once_and_before_the_fragment(rest: str) -> None:
    """The literal braces are there, and nothing of the address is lost."""
    url = f"{APP}{rest}"
    found = with_session_placeholder(url)
    assert found.count(SESSION_PLACEHOLDER) == 1
    assert SESSION_PLACEHOLDER in urlsplit(found).query
    assert urlsplit(found).fragment == urlsplit(url).fragment
    assert urlsplit(found).path == urlsplit(url).path
    assert urlsplit(found).query.startswith(urlsplit(url).query)
    assert with_session_placeholder(found) == found


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (APP, f"{APP}?session_id={SESSION_PLACEHOLDER}"),
        (f"{APP}/x?a=b", f"{APP}/x?a=b&session_id={SESSION_PLACEHOLDER}"),
        (f"{APP}/x?", f"{APP}/x?session_id={SESSION_PLACEHOLDER}"),
        (f"{APP}/x#top", f"{APP}/x?session_id={SESSION_PLACEHOLDER}#top"),
        (f"{APP}/#/x?s={SESSION_PLACEHOLDER}", f"{APP}/#/x?s={SESSION_PLACEHOLDER}"),
        (f"{APP}/x?s=%7bCHECKOUT_SESSION_ID%7D", f"{APP}/x?s={SESSION_PLACEHOLDER}"),
    ],
)
def test_the_placeholder_is_plain_text(url: str, expected: str) -> None:
    """Stripe replaces the literal braces only, so an encoded one is put right."""
    assert with_session_placeholder(url) == expected
