"""deploy/kubernetes: what it names is there; rendered, where there is something that renders."""

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

import settings
from db.queue.stream import GROUP, STREAM
from ingest.app import create_app
from tests.deployments import (
    DEPLOY,
    KNOWN,
    KNOWN_TO_OTHERS,
    ROLES,
    ROOT,
    check_parameters,
    options_of,
    script,
)
from tests.ingest.builders import ENVIRONMENT

# PyYAML ships no types.
yaml: Any = importlib.import_module("yaml")

PARTS = ("stores", "migrate", "product")
KUBECTL, KUSTOMIZE = shutil.which("kubectl"), shutil.which("kustomize")
KUBECONFORM = shutil.which("kubeconform")


def documents(part: str) -> list[dict[str, Any]]:
    """Every object of a part of deploy/kubernetes, as it lies in its files."""
    place = DEPLOY / "kubernetes" / part
    kustomization = yaml.safe_load((place / "kustomization.yaml").read_text("utf-8"))
    files = [place / name for name in kustomization["resources"] if name.endswith(".yaml")]
    return [each for path in files for each in yaml.safe_load_all(path.read_text("utf-8"))]


def kustomization(place: Path) -> dict[str, Any]:
    """What a kustomization puts together."""
    found: dict[str, Any] = yaml.safe_load((place / "kustomization.yaml").read_text("utf-8"))
    return found


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The pod of each workload, with the workload's name."""
    for part in PARTS:
        for each in documents(part):
            if "template" in each.get("spec", {}):
                yield each["metadata"]["name"], each["spec"]["template"]["spec"]


PODS = dict(pods())
DEPLOYMENTS = {
    each["metadata"]["name"]: each["spec"]
    for each in documents("product")
    if each["kind"] == "Deployment"
}


class TestKubernetes:
    """deploy/kubernetes, by its files; and rendered, where there is something that renders."""

    def test_the_settings_are_the_products(self) -> None:
        """Each by its name, with a value that it takes."""
        (generated,) = kustomization(DEPLOY / "kubernetes" / "product")["configMapGenerator"]
        given = dict(literal.split("=", 1) for literal in generated["literals"])
        assert given.keys() <= KNOWN
        found = settings.load(environ=given)
        assert (found.redis_copies, found.host, found.metrics_port) == (1, "0.0.0.0", 9100)  # noqa: S104 - in its pod.
        assert (given["DATABASE_COPIES"], given["DATABASE_POOLER"]) == ("1", "1")

    @pytest.mark.parametrize("name", ["web", "worker", "beat", "billing-migrate"])
    def test_every_role_is_a_command_with_variables_that_it_reads(self, name: str) -> None:
        """And from images that the kustomization names."""
        pod = PODS[name]
        containers = [*pod.get("initContainers", []), *pod["containers"]]
        ours = [each for each in containers if each["image"] == "fiko-billing"]
        assert ours
        for container in ours:
            options_of(container["args"])
            named = {each["name"] for each in container.get("env", [])}
            assert named <= KNOWN | KNOWN_TO_OTHERS

    @pytest.mark.parametrize("name", sorted(PODS))
    def test_no_pod_may_do_more_than_it_must(self, name: str) -> None:
        """Nor talk to the cluster, nor write outside of its volumes."""
        pod = PODS[name]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"] == {
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            claims = {"data"} if name in ("valkey", "sentinel") else set()
            assert mounted <= {volume["name"] for volume in pod.get("volumes", [])} | claims

    def test_the_probes_ask_what_is_there(self) -> None:
        """Paths of the API on the receiver's port; a file that the command touches elsewhere."""
        (web,) = PODS["web"]["containers"]
        app = create_app(settings.load(environ=ENVIRONMENT))
        paths = {rule.rule.rstrip("/") for rule in app.url_map.iter_rules()}
        ports = {port["name"]: port["containerPort"] for port in web["ports"]}
        for probe in ("readinessProbe", "livenessProbe"):
            assert web[probe]["httpGet"]["path"] in paths
            assert ports[web[probe]["httpGet"]["port"]] == settings.load(environ={}).port
        for role in ("worker", "beat"):
            (container,) = PODS[role]["containers"]
            file = container["args"][container["args"].index("--liveness-file") + 1]
            assert file in container["livenessProbe"]["exec"]["command"][-1]
            assert container["ports"][0]["containerPort"] == 9100

    @pytest.mark.parametrize("age_seconds", [0, 60])
    def test_the_liveness_probe_sees_a_file_that_nobody_touches(
        self, tmp_path: Path, age_seconds: int
    ) -> None:
        """Run as the cluster runs it."""
        (worker,) = PODS["worker"]["containers"]
        program = worker["livenessProbe"]["exec"]["command"][-1]
        file = tmp_path / "alive"
        file.touch()
        os.utime(file, (time.time() - age_seconds,) * 2)
        program = program.replace("/tmp/alive", str(file))  # noqa: S108 - the pod's own.
        ended = subprocess.run([sys.executable, "-c", program], check=False)
        assert ended.returncode == (0 if age_seconds == 0 else 1)

    @pytest.mark.parametrize("role", ROLES)
    def test_one_of_each_may_go(self, role: str) -> None:
        """Two run, on different nodes where that can be."""
        assert DEPLOYMENTS[role]["replicas"] == 2
        assert PODS[role]["topologySpreadConstraints"]

    def test_keda_looks_at_the_stream_that_the_product_fills(self) -> None:
        """By the Sentinels that are there; never fewer than two workers."""
        scaled = next(each for each in documents("product") if each["kind"] == "ScaledObject")
        spec = scaled["spec"]
        assert (spec["minReplicaCount"], spec["scaleTargetRef"]) == (2, {"name": "worker"})
        (trigger,) = spec["triggers"]
        metadata = trigger["metadata"]
        assert (metadata["stream"], metadata["consumerGroup"]) == (STREAM, GROUP)
        assert f"sentinel monitor {metadata['sentinelMaster']} " in script("sentinel.sh")
        assert int(metadata["lagCount"]) > 0

    def test_postgresql_is_as_the_product_wants_it(self) -> None:
        """One of two standbys confirms, and the pooler shares sessions between transactions."""
        cluster, pooler = (
            next(each["spec"] for each in documents("stores") if each["kind"] == kind)
            for kind in ("Cluster", "Pooler")
        )
        assert cluster["instances"] == 3
        wanted = {"method": "any", "number": 1, "dataDurability": "required"}
        assert cluster["postgresql"]["synchronous"] == wanted
        check_parameters(cluster["postgresql"]["parameters"])
        assert pooler["cluster"]["name"] == "billing-postgres"
        assert pooler["pgbouncer"]["poolMode"] == "transaction"

    def test_every_name_of_the_guide_is_one_of_the_files(self) -> None:
        """Secrets and maps that somebody makes by hand, as the page says it."""
        page = (ROOT / "docs" / "several-machines.md").read_text(encoding="utf-8")
        made = set(re.findall(r"create (?:secret generic|configmap) (\S+)", page))
        text_of_all = "".join(
            path.read_text("utf-8") for path in (DEPLOY / "kubernetes").rglob("*.yaml")
        )
        asked = set(re.findall(r"(?:secretKeyRef|secretRef): \{name: ([\w-]+)", text_of_all))
        asked |= set(re.findall(r"secretTargetRef:\s+- \{.*?name: ([\w-]+)", text_of_all))
        # CloudNativePG makes these two.
        assert asked - {"billing-postgres-app", "billing-postgres-superuser"} <= made
        assert "app-role" in made
        keys = set(re.findall(r"--from-literal=([A-Z_]+)=", page))
        assert keys - {"REDIS_PASSWORD", "APP_DATABASE_PASSWORD"} <= KNOWN

    @pytest.mark.parametrize("part", PARTS)
    def test_it_renders(self, part: str, tmp_path: Path) -> None:
        """With the real tool; and every object is what its schema says, where that can be asked."""
        if not (KUSTOMIZE or KUBECTL):
            pytest.skip("neither kustomize nor kubectl is installed")
        command = [KUSTOMIZE, "build"] if KUSTOMIZE else [str(KUBECTL), "kustomize"]
        place = DEPLOY / "kubernetes" / part
        result = subprocess.run([*command, str(place)], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        rendered = list(yaml.safe_load_all(result.stdout))
        names = {(each["kind"], each["metadata"]["name"]) for each in rendered}
        assert names >= {(each["kind"], each["metadata"]["name"]) for each in documents(part)}
        if KUBECONFORM:
            (tmp_path / "all.yaml").write_text(result.stdout, encoding="utf-8")
            flags = ["-strict", "-ignore-missing-schemas", "-schema-location", "default"]
            subprocess.run([KUBECONFORM, *flags, str(tmp_path / "all.yaml")], check=True)
