"""Authenticates the caller by the JWT alone, never by a body, a query or another header.

Without a secret or a key set it authenticates nobody. It never tells a caller why it refused a
token.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
from flask import g, request
from jwt import PyJWKClient, PyJWKClientConnectionError, PyJWKClientError

from ingest.http.problems import Problem, ProblemType
from settings import Settings

JWKS_TIMEOUT_SECONDS = 2
# The client keeps keys for so long, and waits so long before it looks up an unknown one again.
JWKS_LIFESPAN_SECONDS = 300
JWKS_COOLDOWN_SECONDS = 30
# After a failed fetch of the key set, the next fetch waits this long.
JWKS_PAUSE_SECONDS = 5.0
USER_ID_LENGTH_MAX = 255
# Several times what issuers make. A longer token would only cost time.
TOKEN_LENGTH_MAX = 8192

_ASYMMETRIC = {"RS256": "RSA", "ES256": "EC"}
NOT_AUTHENTICATED = ProblemType(401, "not_authenticated", "A valid bearer token is needed.")
NOT_CONFIGURED = ProblemType(
    503,
    "authentication_not_configured",
    "Authentication is not configured: the operator must set JWT_SECRET or JWT_JWKS_URL.",
)
UNAVAILABLE = ProblemType(
    503,
    "authentication_unavailable",
    "Tokens cannot be checked at the moment; try again soon.",
)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="billing"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who asks, the scopes of their token, and when it ends (Unix time in seconds)."""

    user_id: str
    scopes: frozenset[str]
    expires_at: int = field(default=0, compare=False)

    def require(self, scope: str) -> None:
        """Raise a 403 unless the token carries this scope."""
        if scope not in self.scopes:
            raise insufficient_scope(scope).problem()


def insufficient_scope(scope: str) -> ProblemType:
    """The problem of a token that lacks this scope."""
    return ProblemType(403, "insufficient_scope", f"The token must carry the scope {scope}.")


class Authenticator:
    """Checks bearer tokens against the one kind of key that is configured.

    `JWT_JWKS_URL`, where set, rules out `JWT_SECRET`: a token's own header never chooses between
    a public key and a shared secret.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._jwks_failed_at = float("-inf")
        self._jwks = (
            PyJWKClient(
                settings.jwt_jwks_url,
                timeout=JWKS_TIMEOUT_SECONDS,
                lifespan=JWKS_LIFESPAN_SECONDS,
                cooldown_duration=JWKS_COOLDOWN_SECONDS,
            )
            if settings.jwt_jwks_url
            else None
        )

    @property
    def configured(self) -> bool:
        """Whether any token could be accepted at all."""
        return bool(self._jwks or self._settings.jwt_secret)

    def caller(self, authorization: str | None) -> Caller:
        """The caller whom a header authenticates; raises a 401, or a 503 when unconfigured."""
        if not self.configured:
            raise NOT_CONFIGURED.problem()
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip() or len(token) > TOKEN_LENGTH_MAX:
            raise _not_authenticated()
        return _caller(self._claims(token.strip()))

    def _claims(self, token: str) -> dict[str, Any]:
        settings = self._settings
        try:
            key, algorithms = self._key(token)
            return jwt.decode(
                token,
                key,
                algorithms=algorithms,
                audience=settings.jwt_audience or None,
                issuer=settings.jwt_issuer or None,
                options={"require": ["exp", "sub"], "verify_aud": bool(settings.jwt_audience)},
            )
        except PyJWKClientConnectionError as error:
            self._jwks_failed_at = self._clock()
            raise UNAVAILABLE.problem() from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            # For some malformed tokens PyJWT raises a plain ValueError or TypeError.
            raise _not_authenticated() from error

    def _key(self, token: str) -> tuple[jwt.PyJWK | str, list[str]]:
        if not self._jwks:
            return self._settings.jwt_secret, ["HS256"]
        algorithm = jwt.get_unverified_header(token).get("alg")
        if algorithm not in _ASYMMETRIC:
            raise jwt.InvalidAlgorithmError
        if self._clock() - self._jwks_failed_at < JWKS_PAUSE_SECONDS:
            raise UNAVAILABLE.problem()
        key = self._jwks.get_signing_key_from_jwt(token)
        if key.key_type != _ASYMMETRIC[algorithm]:
            raise PyJWKClientError("the key is of another kind than the token says")
        return key, [algorithm]


def current_caller() -> Caller:
    """The caller of the current request; for views behind `authenticate_with` only."""
    caller: Caller = g.caller
    return caller


def authenticate_with(authenticator: Callable[[], Authenticator]) -> Callable[[], None]:
    """A `before_request` function that lets no unauthenticated request reach a view."""

    def authenticate() -> None:
        # A browser asks what it may send before it sends the token.
        if request.method != "OPTIONS" and "caller" not in g:
            g.caller = authenticator().caller(request.headers.get("Authorization"))

    return authenticate


def recognised(authenticator: Authenticator) -> Caller | None:
    """The caller of the current request, or None without a valid token; refuses nobody."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    try:
        g.caller = authenticator.caller(header)
    except Problem:
        return None
    return current_caller()


def _caller(claims: dict[str, Any]) -> Caller:
    user_id = claims["sub"]
    if not user_id.strip() or len(user_id) > USER_ID_LENGTH_MAX or "\0" in user_id:
        raise _not_authenticated()
    scopes = _scopes(claims.get("scope")) | _scopes(claims.get("scp"))
    return Caller(user_id, scopes, int(claims["exp"]))


def _scopes(claim: object) -> frozenset[str]:
    """The scopes of a claim: RFC 8693 separates them by spaces, some issuers send a list."""
    if isinstance(claim, str):
        return frozenset(claim.split())
    if isinstance(claim, list):
        return frozenset(scope for scope in claim if isinstance(scope, str))
    return frozenset()


def _not_authenticated() -> Problem:
    return NOT_AUTHENTICATED.problem(headers=_CHALLENGE)
