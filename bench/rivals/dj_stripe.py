"""dj-stripe, from its package: Stripe's objects as Django's models.

It stores each event, upserts its object and drops duplicates before it answers; it keeps no ledger.
Where two events of one object come at once it answers 500 to one of them, now and then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.accept import THREADS
from bench.contestants import WORKER_PROCESSES, Whole
from bench.place import ROOT, Place, StandError
from bench.rivals.cache import python_folder
from bench.stand import SECRET, Stand
from dev.up.ports import free_port
from sandbox.simulate.engine import Event

PACKAGES = ("dj-stripe==2.11.0", "gunicorn==27.0.1", "psycopg2-binary==2.9.13")
SITE = "bench.rivals.dj_stripe_site"
# What events never change.
KEPT = ("djstripe_account", "djstripe_apikey", "djstripe_webhookendpoint")


@dataclass(frozen=True, slots=True)
class Models:
    """Its tables, in a database of its own."""

    place: Place

    def empty(self) -> None:
        """Forget every event and object."""
        with self.place.cursor() as cursor:
            cursor.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                " AND tablename LIKE 'djstripe%%' AND tablename <> ALL(%s)",
                (list(KEPT),),
            )
            tables = ", ".join(f'"{row[0]}"' for row in cursor.fetchall())
            cursor.execute(f"TRUNCATE {tables}")

    def applied(self) -> None:
        """Whatever was answered is in the tables."""

    def require_applied(self, chosen: Sequence[Event]) -> None:
        """Raise `StandError` unless each event was processed."""
        there = self.place.number(
            "SELECT count(*) FROM djstripe_webhookeventtrigger WHERE processed"
        )
        kept = self.place.number("SELECT count(*) FROM djstripe_event")
        if not there == kept == len(chosen):
            raise StandError(f"dj-stripe has processed {there} of {len(chosen)} events")

    def committed(self) -> Mapping[str, float]:
        """Answers tell it: nothing is left to do after them."""
        return {}


def dj_stripe(stand: Stand) -> Whole:
    """Under gunicorn with a process for each of two cores. Raises `UnavailableError`."""
    python = str(python_folder(PACKAGES) / "bin" / "python")
    place, port = stand.place(), free_port()
    with place.cursor() as cursor:
        # It has tables of its own, some of which are called as ours.
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    settings = {
        "DATABASE_URL": place.database_url.replace("+psycopg2", "", 1),
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "PYTHONPATH": str(ROOT),
    }
    stand.finish(stand.run("dj-stripe-tables", (python, "-m", SITE), settings))
    words = (
        *(python, "-m", "gunicorn", "--worker-class", "gthread"),
        *("--workers", str(WORKER_PROCESSES), "--threads", str(THREADS), "--keep-alive", "75"),
        "--no-control-socket",
        *("--bind", f"127.0.0.1:{port}", f"{SITE}:application"),
    )
    tree = stand.run("dj-stripe", words, settings)
    stand.await_answer(tree, port)
    trees = (tree, stand.postgres, stand.valkey)
    return Whole("dj_stripe", "dj-stripe", Models(place), (port,), trees, may_fail=True)
