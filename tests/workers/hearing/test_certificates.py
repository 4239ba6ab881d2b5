"""Over TLS: the certificate must be the name's, although an address is connected to."""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from workers.hearing.destinations import new_secret
from workers.hearing.sending import Answer, Sender

NAME = "hooks.example"
hosts: list[str] = []


class Handler(BaseHTTPRequestHandler):
    """Takes everything, and notes by which name it was called."""

    def do_POST(self) -> None:
        """Answer 204."""
        hosts.append(self.headers["host"])
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Leave no line."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the name, with its key; it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture(scope="module")
def port(certificate: Path) -> Iterator[int]:
    """A server on this machine that has this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with closing(server.socket):
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


def send(url: str, certificate: Path) -> Answer:
    """Send something to a URL whose name leads to this machine, trusting the certificate."""

    async def here(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def once() -> Answer:
        trusted = ssl.create_default_context(cafile=str(certificate))
        sender = Sender(allow_private=True, resolve=here, certificates=trusted)
        try:
            return await sender.send(url, [new_secret()], "msg_1", b"{}")
        finally:
            await sender.close()

    return asyncio.run(once())


def test_the_name_is_what_the_certificate_is_checked_for(port: int, certificate: Path) -> None:
    """And what the receiver is called by; the address is only where it is reached."""
    assert send(f"https://{NAME}:{port}/", certificate) == Answer(204)
    assert hosts == [f"{NAME}:{port}"]


def test_a_certificate_of_another_name_is_refused(port: int, certificate: Path) -> None:
    """Whoever took over an address cannot speak for a name."""
    answer = send(f"https://other.example:{port}/", certificate)
    assert answer.error == "no answer (ConnectError)"
    assert len(hosts) == 1
