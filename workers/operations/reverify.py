"""Checks stored bodies against the signature that came with them: which are proved to be Stripe's.

A body is proved when one of the secrets given signed it, byte for byte, at the time that the header
names. Nothing is changed.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine

from db.bodies import decompress
from db.operations import signatures
from db.operations.signatures import Signed

# So many events that cannot be proved are named; their number is told whole.
NAMED_MAX = 50
_SHOWN_CHARACTERS = 4


@dataclass(slots=True)
class Proof:
    """What can be proved: events by the secret that signed them, as far as it may be shown.

    `unproved` came signed and no secret given signed them. `unsigned` came otherwise: fetched,
    found by `reconcile`, made by hand, or stored before headers were kept; by their source.
    """

    proved: Counter[str] = field(default_factory=Counter)
    unproved: int = 0
    unsigned: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)

    @property
    def checked(self) -> int:
        """How many events were looked at."""
        return sum(self.proved.values()) + self.unproved + sum(self.unsigned.values())


def reverify(
    engine: Engine,
    secrets: Sequence[str],
    progress: Callable[[int], object],
    *,
    since: datetime | None = None,
) -> Proof:
    """Check every event that was received since then, or ever; `progress` is told how many."""
    proof = Proof()
    with engine.connect() as connection:
        for page in signatures.pages(connection, since):
            for signed in page:
                _check(signed, secrets, proof)
            progress(proof.checked)
    return proof


def _check(signed: Signed, secrets: Sequence[str], proof: Proof) -> None:
    if not signed.signature:
        proof.unsigned[signed.source] += 1
        return
    secret = signer(decompress(signed.body), signed.signature, secrets)
    if secret is None:
        proof.unproved += 1
        if len(proof.named) < NAMED_MAX:
            proof.named.append(signed.event_id)
    else:
        proof.proved[shown(secret)] += 1


def signer(body: bytes, header: str, secrets: Sequence[str]) -> str | None:
    """The secret that made one of a header's signatures of this body; None where none did."""
    parts = list(_parts(header))
    times = [value for name, value in parts if name == "t"]
    given = [value.encode() for name, value in parts if name == "v1"]
    for secret in secrets:
        for at in times:
            signed = at.encode() + b"." + body
            made = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
            if any(hmac.compare_digest(made, each) for each in given):
                return secret
    return None


def shown(secret: str) -> str:
    """What may be shown of a secret: enough to tell it from another."""
    return f"…{secret[-_SHOWN_CHARACTERS:]}"


def _parts(header: str) -> Iterator[tuple[str, str]]:
    for item in header.split(","):
        name, _, value = item.strip().partition("=")
        yield name, value
