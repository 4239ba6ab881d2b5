"""The production set-up: who may do what in it, and that what it names is there and works."""

import contextlib
import importlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

import settings
from dev.up.ports import free_port
from dev.up.postgres import DISCREET, SETTINGS
from dev.up.suppliers import valkey_server
from ingest.intake.durability import DurabilityCheck
from workers.commands.command_line import command_line
from workers.operations.database_checks import LOCKS_PER_TRANSACTION_MIN

# PyYAML ships no types.
yaml: Any = importlib.import_module("yaml")

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
ONE_SHOT = {"migrate", "roles"}
LASTING = sorted(SERVICES.keys() - ONE_SHOT)
ROLES = {"proxy", "web", "worker", "beat", "postgres", "redis", "migrate"}
# A value that holds nothing but what the environment says.
FROM_OUTSIDE = re.compile(r"\$\{[A-Z_]+:(\?|-)[^}]*\}")
PASSWORDS = {
    name: "letters0and1digits"
    for name in re.findall(r"\$\{([A-Z_]+):\?", TEXT)
    if "PASSWORD" in name
}


def environment_of(service: str, **given: str) -> dict[str, str]:
    """What a service's processes find in their environment, with these variables in .env."""
    present = PASSWORDS | {"STRIPE_WEBHOOK_SECRET": "whsec_of_the_tests"} | given

    def filled(match: re.Match[str]) -> str:
        name, _, otherwise = match.group(1).partition(":")
        return present.get(name, otherwise[1:] if otherwise.startswith("-") else "MISSING")

    named: dict[str, str] = SERVICES[service].get("environment", {})
    return {name: re.sub(r"\$\{([^}]+)\}", filled, value) for name, value in named.items()}


def test_every_role_has_its_service() -> None:
    """Proxy, receiver, worker, scheduler, both stores, and the migration as its own step."""
    assert SERVICES.keys() >= ROLES


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_may_do_more_than_it_must(name: str) -> None:
    """Not root, nothing written outside of volumes and memory, no capability, none to be gained."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert str(service["user"]).split(":")[0] not in ("", "0", "root")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "devices"}


@pytest.mark.parametrize("name", LASTING)
def test_every_lasting_service_tells_whether_it_is_well(name: str) -> None:
    """And is started again when it ends; the steps before them run once."""
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert check.keys() >= {"interval", "timeout", "retries"}
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_postgresql_has_the_locks_that_a_batch_takes() -> None:
    """As many as decision 4 wants, doctor asks for, and the engine of `up` has."""
    wanted = f"-cmax_locks_per_transaction={LOCKS_PER_TRANSACTION_MIN}"
    assert wanted in SERVICES["postgres"]["command"]
    assert SETTINGS["max_locks_per_transaction"] == str(LOCKS_PER_TRANSACTION_MIN)
    decision = (ROOT / "docs/decisions/0004-subjects-and-locks.md").read_text(encoding="utf-8")
    assert f"`max_locks_per_transaction` of {LOCKS_PER_TRANSACTION_MIN} or more" in decision


def test_postgresql_quotes_nothing_of_a_row_in_its_log() -> None:
    """In production as on one machine: no statement, and no message of an error."""
    told = [f"-c{name}={value}" for name, value in DISCREET.items()]
    assert set(told) <= set(SERVICES["postgres"]["command"])


@pytest.mark.parametrize("name", sorted(ONE_SHOT))
def test_the_steps_before_run_once(name: str) -> None:
    """Nothing serves before the schema and the role's rights are in place."""
    assert SERVICES[name]["restart"] == "no"
    for role in ("web", "worker", "beat"):
        assert SERVICES[role]["depends_on"]["roles"] == {
            "condition": "service_completed_successfully"
        }
    assert SERVICES["roles"]["depends_on"]["migrate"]["condition"].endswith("successfully")


def test_no_secret_is_in_the_file() -> None:
    """Each comes from the environment, and where none can be done without, its absence is told."""
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|_KEY$|AUTH", name):
                assert FROM_OUTSIDE.fullmatch(value), name
    assert not re.search(r"(sk|rk|pk)_(test|live)_|whsec_|:[^$/\s]+@", TEXT)
    assert len(PASSWORDS) == 3


def test_only_the_proxy_is_open_to_the_world() -> None:
    """The stores sit in a network without a way in or out; Prometheus listens on this host."""
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports.keys() == {"proxy", "prometheus"}
    assert all(port.startswith("127.0.0.1:") for port in ports["prometheus"])
    for store in ("postgres", "redis"):
        assert SERVICES[store]["networks"] == ["stores"]
    assert yaml.safe_load(TEXT)["networks"]["stores"] == {"internal": True}


def test_every_image_is_of_a_stated_version() -> None:
    """`latest` is another one tomorrow; our own is built here."""
    for service in SERVICES.values():
        assert "build" in service or re.search(r":v?\d[\w.-]*$", service["image"])


@pytest.mark.parametrize("role", ["web", "worker", "beat", "migrate"])
def test_the_product_reads_the_environment_it_is_given(
    role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same settings that are documented, and none of them wrong."""
    monkeypatch.chdir(tmp_path)
    given = environment_of(role, JWT_SECRET="x" * 32)
    needs = ("database_url",) if role == "migrate" else ("database_url", "redis_url")
    found = settings.load(needs, given)
    known = {settings.variable(name) for name in settings.Settings.__dataclass_fields__}
    assert given.keys() <= known | {"PROMETHEUS_MULTIPROC_DIR"}
    owner = "billing_owner" if role == "migrate" else "billing_app"
    assert found.database_url.startswith(f"postgresql+psycopg2://{owner}:")
    if role == "web":
        assert (found.trusted_proxies, found.host) == (1, "0.0.0.0")  # noqa: S104 - inside its container.
    if role in ("worker", "beat"):
        assert str(found.metrics_port) in SERVICES[role]["healthcheck"]["test"][-1]


@pytest.mark.parametrize("role", ["web", "worker", "beat"])
def test_every_role_is_a_command(role: str) -> None:
    """With options that it has."""
    words = [word for word in SERVICES[role]["command"] if not word.startswith("$")]
    options = [word for word in words if word.startswith("--")]
    told = CliRunner().invoke(command_line, [words[0], "--help"]).output
    assert all(option in told for option in options)


@pytest.fixture
def as_composed(tmp_path: Path) -> Iterator[redis.Redis]:
    """A server of the embedded kind with the arguments that the compose file gives to Redis."""
    port = free_port()
    command = [re.sub(r"\$\{REDIS_MEMORY:[^}]*\}", "100mb", word) for word in redis_command()]
    command = [re.sub(r"\$\{REDIS_PASSWORD:[^}]*\}", "secret", word) for word in command]
    with subprocess.Popen(
        [str(valkey_server()), *command[1:], "--port", str(port), "--bind", "127.0.0.1"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    ) as process:
        with contextlib.closing(redis.Redis(port=port, password="secret")) as client:
            await_answer(client)
            yield client
        process.terminate()


def redis_command() -> list[str]:
    """What the compose file starts Redis with."""
    command: list[str] = SERVICES["redis"]["command"]
    assert command[0] == "redis-server"
    return command


def await_answer(client: redis.Redis) -> None:
    """Wait until the server serves."""
    for _ in range(100):
        with contextlib.suppress(redis.ConnectionError, redis.BusyLoadingError):
            client.ping()
            return
        time.sleep(0.1)
    pytest.fail("the server does not answer")


def test_redis_keeps_what_it_is_given(as_composed: redis.Redis) -> None:
    """On disk before the answer, nothing evicted: the stream may go first."""
    verdict = DurabilityCheck(as_composed, "auto").verdict()
    assert verdict.durable, verdict.why
    assert as_composed.config_get("maxmemory")["maxmemory"] == str(100 * 1024 * 1024)
    assert as_composed.config_get("save")["save"] == ""


def test_the_proxy_buffers_bodies_and_hides_the_metrics() -> None:
    """A slow body is the proxy's to wait for; numbers stay inside."""
    text = (ROOT / "deploy" / "proxy.conf").read_text(encoding="utf-8")
    directives = dict(re.findall(r"^\s*([a-z_]+) ([^;{]+);", text, flags=re.MULTILINE))
    assert directives["proxy_request_buffering"] == "on"
    assert directives["client_max_body_size"] == "1100k"
    assert {"client_body_timeout", "client_header_timeout"} <= directives.keys()
    assert re.search(r"location = /metrics \{\s*return 404;", text)
    assert text.count("{\n") == len(re.findall(r"^\s*\}$", text, flags=re.MULTILINE))


def test_whatever_is_mounted_is_there() -> None:
    """A missing file would be mounted as an empty directory."""
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    sources = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(sources) == 4
    assert all((ROOT / source).is_file() for source in sources)
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("./"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A directory with what the Dockerfile copies, and nothing else of the project."""
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] != ["COPY"] or words[1].startswith("--") or words[-1].startswith("/"):
            continue
        *sources, target = words[1:]
        for source in sources:
            copied = tmp_path / source if target == "./" else tmp_path / target
            copied.parent.mkdir(parents=True, exist_ok=True)
            here = ROOT / source
            (shutil.copytree if here.is_dir() else shutil.copy)(here, copied)
    return tmp_path


@pytest.mark.parametrize("command", ["web", "worker", "beat", "load_plans", "replay"])
def test_the_image_holds_all_that_its_commands_import(image: Path, command: str) -> None:
    """Without the development part, and installing nothing."""
    result = subprocess.run(
        [sys.executable, "manage.py", command, "--help"],
        cwd=image,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not (image / ".venv").exists()
    assert not (image / "dev").exists()


def test_the_image_serves_and_migrates_without_the_development_part(image: Path) -> None:
    """What is imported later than the help page: the application, the tasks, the migrations."""
    (statement,) = SERVICES["migrate"]["command"]
    modules = ["wsgi", "workers.tasks", "celery_config"]
    program = statement.split(";")[0] + f"; import {', '.join(modules)}; from db import migrate"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=image,
        env=environment_of("worker") | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ModuleNotFoundError" not in result.stderr
    assert "ImportError" not in result.stderr


def test_the_image_is_built_in_stages_and_runs_as_nobody() -> None:
    """By number, so that a platform can tell that it is not root."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert text.count("\nFROM ") == 2
    assert "--require-hashes" in text
    assert re.search(r"^USER 10001:10001$", text, flags=re.MULTILINE)
    assert "HEALTHCHECK" in text
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert not {"!.env", "!.data", "!dev", "!tests"} & set(ignored)


def test_the_compose_client_accepts_the_file() -> None:
    """Where there is one to ask."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], check=False).returncode:
        pytest.skip("the compose client is not installed")
    result = subprocess.run(
        [docker, "compose", "--env-file", os.devnull, "--profile", "monitoring", "config", "-q"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "STRIPE_WEBHOOK_SECRET": "whsec_x"} | PASSWORDS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
