"""stripe-sync-engine, from its package: a mirror of Stripe's objects in PostgreSQL, on node.

It upserts the object of each event before it answers, the newest by the event's second. It keeps no
events, so it drops no duplicates, and no ledger.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.contestants import Whole
from bench.place import Place, StandError
from bench.rivals.cache import node_folder
from bench.stand import SECRET, Stand
from dev.up.ports import free_port
from sandbox.simulate.engine import Event

PACKAGES = ("@supabase/stripe-sync-engine@0.48.5", "stripe@23.1.0")
SERVER = Path(__file__).with_name("sync_engine.mjs")
# What an event's object is called → where it is mirrored.
TABLES = {
    "charge": "charges",
    "checkout.session": "checkout_sessions",
    "customer": "customers",
    "dispute": "disputes",
    "invoice": "invoices",
    "invoice_payment": "invoice_payments",
    "payment_intent": "payment_intents",
    "refund": "refunds",
    "subscription": "subscriptions",
}


@dataclass(frozen=True, slots=True)
class Mirror:
    """Its schema, in a database of its own."""

    place: Place

    def empty(self) -> None:
        """Forget every object."""
        with self.place.cursor() as cursor:
            cursor.execute(
                "SELECT tablename FROM pg_tables"
                " WHERE schemaname = 'stripe' AND tablename <> 'migrations'"
            )
            tables = ", ".join(f'stripe."{row[0]}"' for row in cursor.fetchall())
            cursor.execute(f"TRUNCATE {tables}")

    def applied(self) -> None:
        """Whatever was answered is in the tables."""

    def require_applied(self, chosen: Sequence[Event]) -> None:
        """Raise `StandError` unless each event's object is there."""
        sent: dict[str, set[str]] = {}
        for event in chosen:
            subject = event.payload["data"]["object"]
            sent.setdefault(subject["object"], set()).add(subject["id"])
        for kind, ids in sent.items():
            # Table names are those above.
            there = self.place.number(f"SELECT count(*) FROM stripe.{TABLES[kind]}")  # noqa: S608
            if there != len(ids):
                raise StandError(f"stripe-sync-engine has {there} of {len(ids)} objects: {kind}")

    def committed(self) -> Mapping[str, float]:
        """Its rows do not tell of single events."""
        return {}


def sync_engine(stand: Stand) -> Whole:
    """One node process, as its makers run it. Raises `UnavailableError`."""
    folder = node_folder(PACKAGES)
    place, port = stand.place(), free_port()
    with place.cursor() as cursor:
        # Its migrations name this role.
        cursor.execute("CREATE ROLE postgres")
    settings = {
        "DATABASE_URL": place.database_url.replace("+psycopg2", "", 1),
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "PORT": str(port),
        "BENCH_PACKAGES": str(folder),
    }
    node = shutil.which("node")
    assert node is not None
    tree = stand.run("stripe-sync-engine", (node, str(SERVER)), settings)
    stand.await_answer(tree, port)
    title = "stripe-sync-engine, one process"
    trees = (tree, stand.postgres, stand.valkey)
    return Whole("sync_engine", title, Mirror(place), (port,), trees, is_quick=True)
