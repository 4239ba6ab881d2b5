"""`forms`: the product beside the usual forms, each with its own tables, in the same run.

A Flask handler that hands each event to Celery as a task of its own, and one that does all the
work before it answers, both under gunicorn with a process for each core; the same load, the same
events, the same engines. The rate counts until the last accepted event is applied.
"""

from collections import defaultdict

from bench import corpus
from bench.accept import gunicorn
from bench.celery_form import CeleryForm
from bench.figures import Findings, ratios
from bench.scale import SECONDS_MAX, Scale
from bench.stand import Stand, product_settings
from bench.whole import WORKER_PROCESSES, Passed, Whole, passed, start_product, tell_saturated
from dev.up.ports import free_port

TITLES = {
    "product": "product, two cores",
    "celery": "Celery task per event, two cores",
    "direct": "all in the request, two cores",
}
# A form that takes one event at a time still has most of its load queued when this is over.
SHOT_SECONDS = SECONDS_MAX / 2


def measure(stand: Stand, scale: Scale) -> Findings:
    """Each form in turn, several rounds."""
    found = Findings("forms")
    chosen = corpus.events(scale.events, "forms")
    forms = [start_product(stand, scale), _celery(stand), _direct(stand)]
    for form in forms[1:]:
        passed(form, chosen[: scale.rival_events // 4], SHOT_SECONDS)
    done: dict[str, list[Passed]] = defaultdict(list)
    for _ in range(scale.rounds):
        for form in forms:
            count = scale.events if form.name == "product" else scale.rival_events
            done[form.name].append(passed(form, chosen[:count], SHOT_SECONDS))
    for name, rounds in done.items():
        tell_saturated(found, f"{name}.", TITLES[name], rounds)
    ours = [each.rate for each in done["product"]]
    for name in ("celery", "direct"):
        theirs = [each.rate for each in done[name]]
        found.add(f"product.against_{name}", f"product : {TITLES[name]}", "x", ratios(ours, theirs))
    found.note(
        "forms: the usual forms keep no order, lock no customers and take nothing back;"
        f" {scale.rival_events:,} events a round for them, {scale.events:,} for the product"
    )
    return found


def _celery(stand: Stand) -> Whole:
    form = CeleryForm(stand, processes=WORKER_PROCESSES)
    receiver, port = form.receiver()
    trees = (receiver, form.worker, stand.postgres, stand.valkey)
    return Whole("celery", form.place, (port,), trees)


def _direct(stand: Stand) -> Whole:
    place, port = stand.place(), free_port()
    words = gunicorn("bench.rivals.web:direct", port, workers=WORKER_PROCESSES)
    receiver = stand.start("direct-web", words, product_settings(place))
    stand.await_answer(receiver, port)
    return Whole("direct", place, (port,), (receiver, stand.postgres, stand.valkey))
