"""An app that spends by the Python client while the service is killed for a minute, and its bill.

The app is a process of its own, as apps are; `dev.faults.spender` is its code.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg2

import settings
from dev.faults.product import ROOT, Product, ProductError
from workers.commands.tokens import signed_token

USER = "spender"
RATE = 50
AWAY_SECONDS = 60.0
# Before the service goes away, and once it is back.
AROUND_SECONDS = 1.0
APP_SECONDS_MAX = 240.0


@dataclass(frozen=True, slots=True)
class Spooling:
    """The figures of a run; times in seconds.

    `settle_seconds` are from the service's return until the spool was empty. `slowest_seconds` is
    the longest that a spend held the app up, `median_away_seconds` the usual while it was away.
    """

    rate: int
    away_seconds: float
    spends: int
    spooled: int
    posted: int
    missing: int
    doubled: int
    refused: int
    settle_seconds: float
    slowest_seconds: float
    median_away_seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether each spend is in the ledger, once."""
        return not (self.missing or self.doubled or self.refused) and self.posted == self.spends


def spool(*, away_seconds: float = AWAY_SECONDS, log_path: Path | None = None) -> Spooling:
    """Spend before, during and after an outage, and count. Raises `ProductError`."""
    count = round(RATE * (away_seconds + 2 * AROUND_SECONDS))
    with tempfile.TemporaryDirectory(prefix="billing-spool-") as name:
        place = Path(name)
        place.chmod(0o711)  # The engines' user passes through.
        with Product(place / "data", log_path=log_path) as product:
            funds = ("--user", USER, "--amount", str(count), "--reason", "a run")
            product.command("adjust", *funds, "--yes")
            app = _app(product, place, count)
            assert app.stdout
            app.stdout.readline()  # It begins.
            began = time.monotonic()
            time.sleep(AROUND_SECONDS)
            with product.unattended():
                product.signal("receiver", signal.SIGKILL)
                time.sleep(away_seconds)
            product.await_whole()
            back = time.monotonic()
            said, _ = app.communicate(timeout=APP_SECONDS_MAX)
            if app.returncode:
                raise ProductError(f"the app that spends failed (log: {place})")
            told = json.loads(said)
            posted = _posted(product)
    wanted = {f"spend_{number}" for number in range(count)}
    settled_at = float(told["settled_after"]) + began
    return Spooling(
        rate=RATE,
        away_seconds=away_seconds,
        spends=count,
        spooled=told["spooled"],
        posted=sum(posted.values()),
        missing=len(wanted - posted.keys()),
        doubled=sum(number - 1 for number in posted.values()) + len(posted.keys() - wanted),
        refused=told["refused"],
        settle_seconds=max(0.0, settled_at - back),
        slowest_seconds=told["slowest"],
        median_away_seconds=told["median_spooled"],
    )


def _app(product: Product, place: Path, count: int) -> "subprocess.Popen[str]":
    loaded = settings.load(environ=dict(product.settings))
    token = signed_token(loaded, USER, ("tokens:debit",), timedelta(hours=1))
    words = [product.base_url, str(place / "spends.sqlite"), str(count), str(RATE)]
    return subprocess.Popen(  # noqa: S603 - the project's own module.
        [sys.executable, "-m", "dev.faults.spender", *words],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'clients/python/src'}", "SPENDER_TOKEN": token},
        stdout=subprocess.PIPE,
        text=True,
    )


def _posted(product: Product) -> Counter[str]:
    """How often each key is in the ledger."""
    query = "SELECT idempotency_key FROM ledger_entries WHERE kind = 'debit' AND delta = -1"
    with (
        closing(psycopg2.connect(product.settings["DATABASE_URL"])) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(query)
        return Counter(str(key) for (key,) in cursor)
