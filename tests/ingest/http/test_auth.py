"""Who gets in: tokens that are valid here and now, and no others; and nobody learns why."""

import base64
import hmac
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ingest.http.auth import Authenticator, Caller
from ingest.http.problems import Problem
from settings import Settings
from tests.ingest.builders import JWT_SECRET, a_token

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

Configured = Callable[..., Settings]


def bearer(token: str) -> str:
    """The header that carries a token."""
    return f"Bearer {token}"


def refusal(authenticator: Authenticator, header: str | None) -> Problem:
    """The problem that a header leads to."""
    with pytest.raises(Problem) as caught:
        authenticator.caller(header)
    return caught.value


@pytest.fixture
def authenticator(configured: Configured) -> Authenticator:
    """One that knows the shared secret."""
    return Authenticator(configured())


def test_a_valid_token_says_who_and_what(authenticator: Authenticator) -> None:
    """`sub` is the user, `scope` what they may do."""
    token = a_token(user="user_7", scope="tokens:debit other")
    found = authenticator.caller(bearer(token))
    assert found == Caller("user_7", frozenset({"tokens:debit", "other"}))


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": ["tokens:debit", "other"]},
        {"scp": "tokens:debit other"},
        {"scp": ["other", "tokens:debit"]},
        {"scope": "other", "scp": ["tokens:debit", 7, None]},
    ],
)
def test_scopes_are_read_as_issuers_write_them(
    authenticator: Authenticator, claims: dict[str, Any]
) -> None:
    """A text or a list, in `scope` or in `scp`."""
    found = authenticator.caller(bearer(a_token(**claims)))
    assert found.scopes == {"tokens:debit", "other"}


@pytest.mark.parametrize("scope", [7, True, {"tokens:debit": True}, ["tokens:debit x"]])
def test_other_scopes_grant_nothing(authenticator: Authenticator, scope: object) -> None:
    """What is no list of words is no scope, and no reason to fail."""
    with pytest.raises(Problem):
        authenticator.caller(bearer(a_token(scope=scope))).require("tokens:debit")


def test_the_scheme_is_read_in_any_case(authenticator: Authenticator) -> None:
    """RFC 9110: schemes are case-insensitive."""
    assert authenticator.caller(f"bearer {a_token()}").user_id == "user_1"


def test_a_missing_scope_is_forbidden(authenticator: Authenticator) -> None:
    """Known, but not allowed: 403."""
    caller = authenticator.caller(bearer(a_token(scope="tokens:debits")))
    with pytest.raises(Problem) as caught:
        caller.require("tokens:debit")
    assert (caught.value.status, caught.value.code) == (403, "insufficient_scope")


def _none_token() -> str:
    return jwt.encode({"sub": "u", "exp": time.time() + 60}, "", algorithm="none")


def _padded(member: str) -> str:
    return base64.urlsafe_b64encode(member.encode()).rstrip(b"=").decode()


def _signed_with_a_public_key(public: bytes) -> str:
    """What an attacker would make; PyJWT itself refuses to."""
    header = _padded(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "rsa"}))
    claims = _padded(json.dumps({"sub": "user_1", "exp": int(time.time()) + 60}))
    mac = hmac.new(public, f"{header}.{claims}".encode(), "sha256").digest()
    return f"{header}.{claims}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


BAD_HEADERS: dict[str, Callable[[], str | None]] = {
    "no header": lambda: None,
    "empty": lambda: "",
    "scheme only": lambda: "Bearer",
    "no token": lambda: "Bearer  ",
    "another scheme": lambda: "Basic dXNlcjpwYXNz",
    "garbage": lambda: bearer("garbage"),
    "three dots": lambda: bearer("..."),
    "beyond ascii": lambda: bearer("é.é.é"),
    "header is a list": lambda: bearer(f"{_padded('[]')}.{_padded('{}')}.x"),
    "alg none": lambda: bearer(_none_token()),
    "another secret": lambda: bearer(a_token(secret="another secret of thirty-two bytes ok")),
    "HS512": lambda: bearer(
        jwt.encode({"sub": "u", "exp": time.time() + 60}, JWT_SECRET * 2, algorithm="HS512")
    ),
    "RS256": lambda: bearer(
        jwt.encode({"sub": "u", "exp": time.time() + 60}, RSA_KEY, algorithm="RS256")
    ),
    "expired": lambda: bearer(a_token(exp=int(time.time()) - 1)),
    "no exp": lambda: bearer(a_token(exp=None)),
    "exp is text": lambda: bearer(a_token(exp="tomorrow")),
    "not yet valid": lambda: bearer(a_token(nbf=int(time.time()) + 60)),
    "no sub": lambda: bearer(a_token(sub=None)),
    "empty sub": lambda: bearer(a_token(sub="")),
    "blank sub": lambda: bearer(a_token(sub="  ")),
    "sub with NUL": lambda: bearer(a_token(sub="u\0")),
    "sub too long": lambda: bearer(a_token(sub="u" * 256)),
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_a_bad_token_is_refused_without_a_reason(authenticator: Authenticator, name: str) -> None:
    """One answer for all of them, so that nobody can feel their way."""
    problem = refusal(authenticator, BAD_HEADERS[name]())
    assert (problem.status, problem.code) == (401, "not_authenticated")
    assert problem.detail == "A valid bearer token is needed."
    assert problem.headers == {"WWW-Authenticate": 'Bearer realm="billing"'}


def test_audience_and_issuer_are_checked_where_they_are_configured(
    configured: Configured,
) -> None:
    """A token for another service, or from another one, is not for us."""
    authenticator = Authenticator(configured(JWT_AUDIENCE="billing", JWT_ISSUER="https://id"))
    good = {"aud": "billing", "iss": "https://id"}
    assert authenticator.caller(bearer(a_token(**good))).user_id == "user_1"
    for change in ({"aud": "shop"}, {"aud": None}, {"iss": "https://x"}, {"iss": None}):
        assert refusal(authenticator, bearer(a_token(**(good | change)))).status == 401


def test_an_audience_is_no_obstacle_where_none_is_configured(
    authenticator: Authenticator,
) -> None:
    """Many issuers always name one."""
    assert authenticator.caller(bearer(a_token(aud="anything"))).user_id == "user_1"


def test_without_any_key_nobody_gets_in(configured: Configured) -> None:
    """Failing closed, and telling the operator what is missing."""
    authenticator = Authenticator(configured(JWT_SECRET=""))
    problem = refusal(authenticator, bearer(a_token()))
    assert (problem.status, problem.code) == (503, "authentication_not_configured")


class _KeySet(http.server.BaseHTTPRequestHandler):
    """Serves the public keys, and counts how often they were asked for."""

    fetched = 0
    works = True

    def do_GET(self) -> None:
        """Answer with the key set."""
        type(self).fetched += 1
        body = json.dumps({"keys": [_jwk(RSA_KEY, "rsa"), _jwk(EC_KEY, "ec")]}).encode()
        self.send_response(200 if self.works else 500)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


def _jwk(key: Any, kid: str) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name("RS256" if kid == "rsa" else "ES256")
    found: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return found | {"kid": kid, "use": "sig"}


@pytest.fixture
def key_set() -> Iterator[tuple[str, type[_KeySet]]]:
    """A key server on this machine: its address, and its switches."""
    handler = type("KeySet", (_KeySet,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/keys", handler
    server.shutdown()
    server.server_close()
    thread.join()


def signed(key: Any, algorithm: str, kid: str) -> str:
    """A header with a token signed with a private key."""
    claims = {"sub": "user_1", "exp": int(time.time()) + 60}
    return bearer(jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid}))


def test_tokens_signed_with_a_published_key_are_accepted(
    configured: Configured, key_set: tuple[str, type[_KeySet]]
) -> None:
    """RS256 and ES256, with one fetch of the keys for both."""
    url, handler = key_set
    authenticator = Authenticator(configured(JWT_JWKS_URL=url))
    assert authenticator.caller(signed(RSA_KEY, "RS256", "rsa")).user_id == "user_1"
    assert authenticator.caller(signed(EC_KEY, "ES256", "ec")).user_id == "user_1"
    assert handler.fetched == 1


def test_no_other_key_or_algorithm_is_accepted_beside_a_key_set(
    configured: Configured, key_set: tuple[str, type[_KeySet]]
) -> None:
    """Neither the shared secret, nor a public key used as one, nor a key of another name."""
    url, handler = key_set
    authenticator = Authenticator(configured(JWT_JWKS_URL=url))
    public = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for header in (
        bearer(a_token()),
        bearer(_signed_with_a_public_key(public)),
        signed(OTHER_KEY, "RS256", "rsa"),
        signed(RSA_KEY, "RS512", "rsa"),
        signed(RSA_KEY, "RS256", "ec"),
        signed(RSA_KEY, "RS256", "../../etc/passwd"),
        bearer(_none_token()),
    ):
        assert refusal(authenticator, header).status == 401
    for number in range(20):
        assert refusal(authenticator, signed(OTHER_KEY, "RS256", f"k{number}")).status == 401
    assert handler.fetched <= 2, "unknown key names must not flood the key server"


def test_a_key_server_that_is_away_is_left_alone(
    configured: Configured, key_set: tuple[str, type[_KeySet]]
) -> None:
    """503, and no fetch for every request; it is asked again after a few seconds."""
    url, handler = key_set
    handler.works = False
    now = [100.0]
    authenticator = Authenticator(configured(JWT_JWKS_URL=url), clock=lambda: now[0])
    header = signed(RSA_KEY, "RS256", "rsa")
    for _ in range(5):
        problem = refusal(authenticator, header)
        assert (problem.status, problem.code) == (503, "authentication_unavailable")
    assert handler.fetched == 1
    handler.works = True
    now[0] += 6
    assert authenticator.caller(header).user_id == "user_1"
