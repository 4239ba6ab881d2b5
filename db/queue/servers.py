"""How to get to Redis: by an address, or by asking Sentinels which server is the primary now."""

import threading
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from settings import Sentinels, is_sentinel, parse_sentinels


def open_client(redis_url: str, timeout_seconds: float) -> redis.Redis:
    """A client that gives up after `timeout_seconds` and never retries by itself.

    redis-py 8 would wait 5 s and retry ten times, which a receiver must not.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    if is_sentinel(redis_url):
        return _by_sentinels(parse_sentinels(redis_url), options)
    return redis.Redis.from_url(redis_url, **options)


def url_of_server(redis_url: str, host: str, port: int) -> str:
    """The URL of another server of the same group: it has the same passwords, and TLS or none."""
    scheme, _, rest = redis_url.partition("://")
    place, _, query = rest.partition("?")
    login = f"{place.rpartition('@')[0]}@" if "@" in place else ""
    address = f"[{host}]" if ":" in host else host
    options = f"?{query}" if scheme == "rediss" and query else ""
    return f"{'rediss' if scheme == 'rediss' else 'redis'}://{login}{address}:{port}/0{options}"


class _Sentinels(Sentinel):
    """Sentinels that several threads may ask."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the client's own.
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]  # The client types half.
        self._lock = threading.Lock()

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Where the primary is now."""
        # The list is put into another order there, in which two threads at once lose Sentinels.
        with self._lock:
            address: tuple[str, int] = super().discover_master(service_name)  # type: ignore[no-untyped-call]  # As above.
            return address


def _by_sentinels(named: Sentinels, options: dict[str, Any]) -> redis.Redis:
    login = {"username": named.sentinel_username, "password": named.sentinel_password}
    sentinels = _Sentinels(list(named.hosts), sentinel_kwargs={**options, **login})
    client: redis.Redis = sentinels.master_for(  # type: ignore[no-untyped-call]  # As above.
        named.name,
        db=named.database,
        username=named.username,
        password=named.password,
        **options,
    )
    return client
