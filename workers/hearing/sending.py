"""Sends one message: signed after Standard Webhooks, to an address that was checked, in 10 s."""

import asyncio
import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from standardwebhooks import Webhook

from db.outbox.messages import Written
from workers.hearing.addresses import AddressRefusedError, Resolve, Target, look_up, target_of

TIMEOUT_SECONDS = 10.0
# Of an answer only the status counts; so much of its body is read and let go.
BODY_BYTES_MAX = 16_384
USER_AGENT = "fiko-billing"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a message was received: `error` is empty where it was, else it says what is wrong."""

    status: int | None
    error: str = ""

    @property
    def is_received(self) -> bool:
        """Whether the destination has it."""
        return not self.error


def message_id(message: Written) -> str:
    """The message's id, the same at every attempt; it names no user."""
    user = hashlib.blake2b(message.user_id.encode(), digest_size=12).hexdigest()
    return f"msg_{user}_{message.version}"


def signed(msg_id: str, body: bytes, secrets: Sequence[str], at: datetime) -> dict[str, str]:
    """The headers that prove where a body is from; one signature a secret, as during rotation."""
    text = body.decode()
    signatures = [
        Webhook(secret).sign(msg_id=msg_id, timestamp=at, data=text) for secret in secrets
    ]
    return {
        "webhook-id": msg_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
        "content-type": "application/json",
        "user-agent": USER_AGENT,
    }


class Sender:
    """Sends messages; it keeps connections for each URL and shares none between two.

    Use it in one event loop, and close it there. `certificates` are trusted besides the world's.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout_seconds: float = TIMEOUT_SECONDS,
        resolve: Resolve = look_up,
        certificates: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._timeout_seconds = timeout_seconds
        self._resolve = resolve
        self._certificates = certificates or httpx.create_ssl_context()
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def send(self, url: str, secrets: Sequence[str], msg_id: str, body: bytes) -> Answer:
        """Send a body once; whatever goes wrong is in the answer, in words without values."""
        headers = signed(msg_id, body, secrets, datetime.now(UTC))
        try:
            async with asyncio.timeout(self._timeout_seconds):
                target = await target_of(url, self._resolve, allow_private=self._allow_private)
                status = await self._post(url, target, headers, body)
        except TimeoutError:
            return Answer(None, f"no whole answer within {self._timeout_seconds:g} s")
        except AddressRefusedError as error:
            return Answer(None, str(error))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            return Answer(None, f"no answer ({type(error).__name__})")
        if httpx.codes.is_success(status):
            return Answer(status)
        if httpx.codes.is_redirect(status):
            return Answer(status, f"answered {status}: redirects are not followed")
        return Answer(status, f"answered {status}")

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _post(self, url: str, target: Target, headers: dict[str, str], body: bytes) -> int:
        """Connect to the checked addresses in turn; the name is only told, not asked again."""
        for place, address in enumerate(target.addresses):
            try:
                return await self._post_to(url, target, address, headers, body)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if place == len(target.addresses) - 1:
                    raise
        raise AddressRefusedError("the name has no address")

    async def _post_to(
        self, url: str, target: Target, address: str, headers: dict[str, str], body: bytes
    ) -> int:
        async with self._client(url).stream(
            "POST",
            target.url.copy_with(host=address),
            content=body,
            headers={"host": target.url.netloc.decode("ascii"), **headers},
            extensions={"sni_hostname": target.host},
        ) as response:
            read = 0
            async for part in response.aiter_raw():
                read += len(part)
                if read > BODY_BYTES_MAX:
                    break
            return response.status_code

    def _client(self, url: str) -> httpx.AsyncClient:
        if url not in self._clients:
            self._clients[url] = httpx.AsyncClient(
                verify=self._certificates,
                timeout=self._timeout_seconds,
                follow_redirects=False,
                # A proxy would look the name up by itself.
                trust_env=False,
            )
        return self._clients[url]
