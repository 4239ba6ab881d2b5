"""compose-ha.yml: what it names is there, and nothing may do more than it must."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

import settings
from tests.deployments import (
    DEPLOY,
    KNOWN,
    KNOWN_TO_OTHERS,
    PASSWORD,
    ROLES,
    ROOT,
    check_parameters,
    options_of,
    script,
)

# PyYAML ships no types.
yaml: Any = importlib.import_module("yaml")

TEXT = (DEPLOY / "compose-ha.yml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
ONE_SHOT = {"owner", "migrate", "roles"}
FROM_OUTSIDE = re.compile(r"\$\{[A-Z_]+:(\?|-)[^}]*\}")
SCRIPTS = {"sentinel.sh", "valkey.sh"}


def filled(value: str) -> str:
    """A value of the compose file with every variable set."""
    value = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value)
    return re.sub(r"\$\{[A-Z_]+:\?[^}]*\}", PASSWORD, value)


class TestCompose:
    """deploy/compose-ha.yml."""

    @pytest.mark.parametrize("name", sorted(SERVICES))
    def test_no_service_may_do_more_than_it_must(self, name: str) -> None:
        """As in the compose file of one machine."""
        service = SERVICES[name]
        assert service["read_only"] is True
        assert str(service["user"]).split(":")[0] not in ("", "0", "root")
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert ("ports" in service) == (name == "proxy")

    @pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOT))
    def test_every_lasting_service_tells_whether_it_is_well(self, name: str) -> None:
        """And is started again when it ends."""
        assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert SERVICES[name]["restart"] == "unless-stopped"

    @pytest.mark.parametrize("role", [*ROLES, "migrate"])
    def test_the_product_reads_the_environment_it_is_given(self, role: str) -> None:
        """Sentinels, several PostgreSQLs, one copy of each."""
        given = {key: filled(value) for key, value in SERVICES[role]["environment"].items()}
        if "STRIPE_WEBHOOK_SECRET" in given:
            given["STRIPE_WEBHOOK_SECRET"] = "whsec_of_the_tests"
        assert given.keys() <= KNOWN | KNOWN_TO_OTHERS
        needs = ("database_url",) if role == "migrate" else ("database_url", "redis_url")
        found = settings.load(needs, given)
        hosts = "host=postgres-1,postgres-2,postgres-3&port=5432,5432,5432"
        assert f"{hosts}&target_session_attrs=read-write" in found.database_url
        if role in ROLES:
            assert found.redis_copies == 1
            assert given["DATABASE_COPIES"] == "1"
            sentinels = settings.parse_sentinels(found.redis_url)
            assert {host for host, _ in sentinels.hosts} == {f"sentinel-{n}" for n in (1, 2, 3)}
            assert f"sentinel monitor {sentinels.name} " in script("sentinel.sh")

    @pytest.mark.parametrize("role", [*ROLES, "migrate"])
    def test_every_role_is_a_command(self, role: str) -> None:
        """With options that it has, and two of each that lasts."""
        options_of([word for word in SERVICES[role]["command"] if not word.startswith("$")])
        if role in ROLES:
            assert SERVICES[role]["deploy"]["replicas"] == 2

    def test_no_secret_is_in_the_file(self) -> None:
        """Each comes from the environment."""
        for service in SERVICES.values():
            for name, value in service.get("environment", {}).items():
                if re.search(r"PASSWORD|SECRET|_KEY$|AUTH", name):
                    assert FROM_OUTSIDE.fullmatch(value), name

    def test_whatever_is_mounted_or_built_is_there(self) -> None:
        """A missing file would be mounted as an empty directory."""
        mounts = [each for service in SERVICES.values() for each in service.get("volumes", [])]
        sources = {each.split(":")[0] for each in mounts if each.startswith("./")}
        assert {Path(source).name for source in sources} >= SCRIPTS | {"patroni.yml", "owner.sql"}
        assert [each for each in sources if not (DEPLOY / each).is_file()] == []
        assert all(each.endswith(":ro") for each in mounts if each.startswith("./"))
        named = {each.split(":")[0] for each in mounts if not each.startswith("./")}
        assert named == yaml.safe_load(TEXT)["volumes"].keys()
        builds = [service["build"] for service in SERVICES.values() if "build" in service]
        files = {build["dockerfile"] for build in builds if isinstance(build, dict)}
        assert all((ROOT / name).is_file() for name in files)

    def test_every_image_is_of_a_stated_version(self) -> None:
        """`latest` is another one tomorrow; two are built here."""
        for service in SERVICES.values():
            assert "build" in service or re.search(r":v?\d[\w.-]*$", service["image"])

    def test_two_standbys_of_which_one_confirms(self) -> None:
        """And the parameters that the product asks for."""
        patroni = yaml.safe_load((DEPLOY / "ha" / "patroni.yml").read_text("utf-8"))
        shared = patroni["bootstrap"]["dcs"]
        assert (shared["synchronous_mode"], shared["synchronous_node_count"]) == ("quorum", 1)
        assert shared["synchronous_mode_strict"] is True
        # Promoted within the time in which every event must have its effect.
        assert shared["ttl"] + shared["loop_wait"] < 30
        check_parameters(shared["postgresql"]["parameters"])
        assert sum(name.startswith("postgres-") for name in SERVICES) == 3
