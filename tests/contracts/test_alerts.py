"""The alerts: each watches numbers that exist, and the documentation says what to do about it."""

import importlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import metrics
from db.outbox.destinations import States
from db.questions.notices import Waiting as NoticesWaiting
from db.questions.questions import Waiting
from db.queue.backlog import InboxBacklog, StreamBacklog
from ingest.ops import gauges
from ingest.ops.gauges import StoreState

# PyYAML ships no types.
yaml: Any = importlib.import_module("yaml")

ROOT = Path(__file__).parents[2]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
NAMES = [rule["alert"] for rule in RULES]
# What the issue asks to be woken for.
WANTED = {"BillingSilence", "BillingLag", "BillingDeadEvents", "BillingSchedulerGone"}


def series() -> dict[str, set[str]]:
    """Every series that any role tells, and its labels."""
    stream, inbox = StreamBacklog(1, 1, 1), InboxBacklog(1, 1, 1, 1.0, 1.0, 1.0)
    state = StoreState(stream, inbox, {"no_user": 1}, Waiting(1, 1.0, 1, "sub_1: no"), 1)
    state = replace(state, destinations=States(1, 1, 1), notices=NoticesWaiting(1, 1, 1.0))
    metrics.event_received("invoice.paid", "stream")
    metrics.webhook_refused("signature_invalid")
    metrics.request_answered("/metrics", 200, 0.1)
    metrics.batch_committed({}, events=1, duplicates=1, retries=1, delays_seconds=[1.0])
    metrics.task_sent("a task")
    metrics.events_left(1)
    metrics.event_generation_failed()
    counts = text_string_to_metric_families(metrics.exposition().decode())
    return {
        sample.name: set(sample.labels)
        for metric in (*gauges.of_state(state), *counts)
        for sample in metric.samples
    }


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_is_about_series_and_labels_that_exist(rule: dict[str, Any]) -> None:
    """A misspelt one would be silent for ever."""
    known = series()
    text = re.sub(r'"[^"]*"', '""', rule["expr"])
    used = set(re.findall(r"\bbilling_\w+", text)) | ({"up"} & set(re.findall(r"\bup\b", text)))
    assert used
    assert used <= known.keys() | {"up"}
    for name, labels in re.findall(r"\b(billing_\w+)\{([^}]*)\}", text):
        assert set(re.findall(r"(\w+)\s*[=!]", labels)) <= known[name]


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_says_how_bad_and_what(rule: dict[str, Any]) -> None:
    """Who is woken learns in one line why, and finds its name in docs/6-operations.md."""
    assert rule["labels"]["severity"] in ("page", "warn")
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["expr"].count("(") == rule["expr"].count(")")
    document = (ROOT / "docs" / "6-operations.md").read_text(encoding="utf-8")
    assert f"| `{rule['alert']}` |" in document


def test_nothing_else_is_documented_and_nothing_wanted_is_missing() -> None:
    """The table in the documentation is the list of alerts."""
    document = (ROOT / "docs" / "6-operations.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(Billing\w+)` \|", document, flags=re.MULTILINE) == NAMES
    assert set(NAMES) >= WANTED
    assert len(set(NAMES)) == len(NAMES)


def test_prometheus_reads_the_rules_and_every_role() -> None:
    """By the names and ports that the compose file gives."""
    config = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text("utf-8"))
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    assert config["rule_files"] == ["alerts.yml"]
    jobs = {job["job_name"]: job["dns_sd_configs"][0] for job in config["scrape_configs"]}
    assert jobs.keys() == {"web", "worker", "beat"}
    for role, place in jobs.items():
        port = services[role]["environment"].get("METRICS_PORT", "8000")
        assert (place["names"], str(place["port"])) == ([role], port)
