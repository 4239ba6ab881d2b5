"""Whole ways of doing it, warm: the product from any checkout, and the usual forms.

A way is what is posted to, what must end in the tables, and who works for it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import corpus
from bench.accept import gunicorn
from bench.celery_form import CeleryForm
from bench.load import Aim, fire
from bench.place import ROOT, Place, StandError, Store, streams
from bench.scale import Scale
from bench.stand import SECRET, START_SECONDS_MAX, Stand, product_settings
from bench.trees import Tree
from dev.up.ports import free_port
from sandbox.simulate.engine import Event

WORKER_PROCESSES = 2
POLL_SECONDS = 0.05
BEAT_KEYS = "billing:beat:"
OURS, THEN = "product", "then"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole way of doing it; one that `is_quick` is given as many events as the product."""

    name: str
    title: str
    store: Store
    ports: tuple[int, ...]
    trees: tuple[Tree, ...]
    is_quick: bool = False
    # Whether it is known to refuse single events under load, which only costs it time.
    may_fail: bool = False
    # Types of our events that it has no use for.
    ignored: frozenset[str] = frozenset()


def start_product(stand: Stand, place: Place, scale: Scale) -> Whole:
    """Every process of the product, of whichever checkout, warm; the place is empty again."""
    worker = stand.worker(place, processes=WORKER_PROCESSES)
    receiver, port = stand.receiver(place)
    beat = _beat(stand, place)
    trees = (receiver, worker, beat, stand.postgres, stand.valkey)
    name, title = (OURS, "product") if place.root == ROOT else (THEN, "the other checkout")
    warm_up(place, port, corpus.events(scale.warm_events, "warm"))
    ignored = place.ignored_types()
    place.empty()
    return Whole(name, title, place, (port,), trees, is_quick=True, ignored=ignored)


def warm_up(place: Place, port: int, chosen: Sequence[Event]) -> None:
    """Have receiver and worker do all that they do once; what was applied stays."""
    volley = fire(corpus.requests(chosen, SECRET), Aim((port,), START_SECONDS_MAX))
    volley.require_success("warming up")
    deadline = time.monotonic() + START_SECONDS_MAX
    while place.number("SELECT count(*) FROM webhook_events") < len(chosen) or waiting(place):
        if time.monotonic() > deadline:
            raise StandError(f"{place.root}: what was accepted was not applied")
        time.sleep(POLL_SECONDS)


def waiting(place: Place) -> int:
    """How many events its streams hold."""
    with place.redis() as client:
        return sum(int(client.xlen(name)) for name in streams(client))


def celery_form(stand: Stand) -> Whole:
    """A Flask handler that hands each event to Celery as a task of its own."""
    form = CeleryForm(stand, processes=WORKER_PROCESSES)
    receiver, port = form.receiver()
    trees = (receiver, form.worker, stand.postgres, stand.valkey)
    return Whole("celery", "Celery task per event", form.place, (port,), trees)


def direct_form(stand: Stand) -> Whole:
    """A Flask handler that does all the work before it answers."""
    place, port = stand.place(), free_port()
    words = gunicorn("bench.rivals.web:direct", port, workers=WORKER_PROCESSES)
    receiver = stand.start("direct-web", words, product_settings(place))
    stand.await_answer(receiver, port)
    trees = (receiver, stand.postgres, stand.valkey)
    return Whole("direct", "all in the request", place, (port,), trees)


def _beat(stand: Stand, place: Place) -> Tree:
    """The scheduler, once it schedules: until then it only costs."""
    beat = stand.product("beat", ("beat",), place)
    with place.redis() as client:
        stand.await_true(lambda: bool(client.keys(f"{BEAT_KEYS}*")), beat, "schedules")
    return beat
