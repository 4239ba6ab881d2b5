"""`scale`: one, two, three receivers and workers on the same stores, and where the next limit is.

Each worker has one process. On two cores more of them soon share what there is, so the figures that
say something of more machines are the costs: what an event takes of PostgreSQL and of Valkey is the
same wherever receivers and workers are, and each of these two is one server.
"""

from collections.abc import Sequence

from bench import corpus
from bench.contestants import Whole, warm_up
from bench.figures import Findings
from bench.load import Aim, Volley, fire
from bench.passing import Passed, passed
from bench.place import Place
from bench.scale import SECONDS_MAX, Scale
from bench.stand import SECRET, Stand
from bench.trees import Tree
from sandbox.simulate.engine import Event

COUNTS = (1, 2, 3)
MICROSECONDS = 1e6
BEAT_KEYS = "billing:beat:"


def measure(stand: Stand, scale: Scale) -> Findings:
    """More of everything, step by step: accepting alone, then accepting and applying at once."""
    found = Findings("scale")
    chosen = corpus.events(scale.events, "scale")
    place = stand.place()
    receivers = [stand.receiver(place) for _ in COUNTS]
    ports = tuple(port for _, port in receivers)
    for count in COUNTS:
        stand.progress.step(f"{count} accepting")
        accepted = [
            _accept(place, ports[:count], chosen, scale.shot_seconds) for _ in range(scale.rounds)
        ]
        rates = [volley.rate for volley in accepted]
        found.add(f"accept.{count}", f"accepted by {count} receiver(s)", "events/s", rates)
    place.empty()
    beat = _beat(stand, place)
    workers: list[Tree] = []
    for count in COUNTS:
        stand.progress.step(f"{count} of each")
        workers.append(stand.worker(place, processes=1))
        if count == 1:
            warm_up(place, ports[0], corpus.events(scale.warm_events, "warm"))
        trees = (*(tree for tree, _ in receivers[:count]), *workers, beat)
        title = f"{count} receiver(s) and {count} worker(s)"
        everybody = (*trees, stand.postgres, stand.valkey)
        whole = Whole(f"of_{count}", title, place, ports[:count], everybody, is_quick=True)
        # A worker that has just begun is warm after this.
        passed(whole, chosen[: scale.warm_events], SECONDS_MAX / 2)
        rounds = [passed(whole, chosen, SECONDS_MAX / 2) for _ in range(scale.rounds)]
        _tell(found, count, title, rounds)
    _tell_limits(found)
    found.note("scale: more receivers and workers one after the other, not in turn")
    return found


def _accept(
    place: Place, ports: tuple[int, ...], chosen: Sequence[Event], seconds: float
) -> Volley:
    place.empty()
    volley = fire(corpus.requests(chosen, SECRET), Aim(ports, seconds))
    volley.require_success("the receivers")
    return volley


def _tell(found: Findings, count: int, title: str, rounds: Sequence[Passed]) -> None:
    key = f"whole.{count}"
    rates = [each.rate for each in rounds]
    found.add(f"{key}.rate", f"{title}: accepted and applied", "events/s", rates)
    for name in rounds[0].cpu_seconds:
        spent = [each.cpu_seconds[name] / each.events * MICROSECONDS for each in rounds]
        found.add(f"{key}.cpu.{name}", f"{title}: CPU of {name}", "µs/event", spent)


def _tell_limits(found: Findings) -> None:
    """On paper: how many events a core of each store would take if it did nothing else."""
    costs = {figure.key: figure.values for figure in found.figures}
    for name in ("PostgreSQL", "Valkey"):
        values = [MICROSECONDS / cost for cost in costs[f"scale.whole.{COUNTS[-1]}.cpu.{name}"]]
        title = f"on paper: what one core of {name} takes, and nothing else"
        found.add(f"limit.{name.lower()}", title, "events/s", values)


def _beat(stand: Stand, place: Place) -> Tree:
    beat = stand.product("beat", ("beat",), place)
    with place.redis() as client:
        stand.await_true(lambda: bool(client.keys(f"{BEAT_KEYS}*")), beat, "schedules")
    return beat
