"""Whether the receivers know a secret, learnt from how they refuse."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import pytest
from stripe import SignatureVerificationError, WebhookSignature

from dev.faults.local_server import serving
from workers.endpoints.receivers import TRIES, Verdict, know

SECRET = "whsec_of_the_tests"


@dataclass
class Receivers:
    """Several behind one address: each request meets the next one, with the secret that it has."""

    secrets: list[str] = field(default_factory=lambda: [SECRET])
    url: str = ""
    status: int = 400
    code: str = ""
    asked: int = 0

    def answer(self, body: bytes, signature: str) -> bytes:
        """The problem that a receiver answers with."""
        secret = self.secrets[self.asked % len(self.secrets)]
        self.asked += 1
        try:
            WebhookSignature.verify_header(body.decode(), signature, secret)
            code = "not_an_event"
        except SignatureVerificationError:
            code = "signature_invalid"
        return f'{{"code": "{self.code or code}"}}'.encode()


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    """Receivers on a free port."""
    found = Receivers()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = found.answer(body, self.headers["stripe-signature"])
            self.send_response(found.status)
            self.send_header("location", found.url)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Leave no line."""

    with serving(Handler) as found.url:
        yield found


def test_a_secret_that_all_of_them_know(receivers: Receivers) -> None:
    """Each is asked on a connection of its own."""
    assert know(receivers.url, SECRET).verdict is Verdict.KNOWN
    assert receivers.asked == TRIES


def test_a_secret_that_one_of_them_does_not_know(receivers: Receivers) -> None:
    """Its deliveries would be refused, so nobody knows it yet."""
    receivers.secrets = [SECRET, SECRET, "whsec_the_old_one"]
    assert know(receivers.url, SECRET).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("status", "code"), [(503, "not_stored"), (200, ""), (404, "not_found"), (307, "elsewhere")]
)
def test_what_is_no_answer_of_a_receiver_is_unclear(
    receivers: Receivers, status: int, code: str
) -> None:
    """No redirect is followed, and nothing is taken for a yes."""
    receivers.status, receivers.code = status, code
    asked = know(receivers.url, SECRET)
    assert asked.verdict is Verdict.UNCLEAR
    assert str(status) in asked.says
    assert receivers.asked == 1


def test_nobody_there_is_unclear() -> None:
    """The command may run where the receivers cannot be reached."""
    asked = know("http://127.0.0.1:9/billing/stripe/webhook/", SECRET)
    assert asked.verdict is Verdict.UNCLEAR
    assert "cannot be reached from here" in asked.says
