"""docker-compose.yml, checked without Docker: valid, its parts fit together, and nothing of it stands open.

That its services start is in ``test_compose_starts.py``.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

import pytest
from jsonschema.validators import validator_for

from proxy.supervision.supervisor import STOP_TIMEOUT_S, WATCHDOG_STOP_TIMEOUT_S
from tests.support.compose import GUARDS, ROOT, before_the_first_start, services, the_file

SCHEMA = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
"""The Compose specification's own, as that package carries it."""


def faults(document: Any) -> list[str]:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return [f"{each.json_path}: {each.message}" for each in validator_for(schema)(schema).iter_errors(document)]


def test_the_file_is_valid_against_the_schema_of_the_compose_specification() -> None:
    assert faults(the_file()) == []


def test_the_schema_finds_a_slip_of_the_pen() -> None:
    document = the_file()
    document["services"]["store"]["read-only"] = document["services"]["store"].pop("read_only")
    assert any("read-only" in fault for fault in faults(document))


def test_everything_a_service_refers_to_is_defined() -> None:
    document = the_file()
    for name, service in document["services"].items():
        assert "image" in service, name
        assert isinstance(service["command"], list), f"{name}: a command as text is split by rules of its own"
        assert set(service.get("networks", ())) <= set(document["networks"]), name
        assert set(service.get("secrets", ())) <= set(document["secrets"]), name
        assert set(service.get("depends_on", ())) <= set(document["services"]), name
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name}: {source}"
            else:
                assert source in document["volumes"], f"{name}: {source}"


def test_every_definition_is_used() -> None:
    document = the_file()
    for kind in ("networks", "volumes", "secrets"):
        used = {part.split(":")[0] for service in document["services"].values() for part in service.get(kind, ())}
        assert set(document[kind]) <= used, kind


def test_only_gate_console_and_dashboards_are_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    doors = ["127.0.0.1:8080:8080", "127.0.0.1:8081:8081"]
    assert published == {"guard": doors, "guard-practice": doors, "grafana": ["127.0.0.1:3000:3000"]}


@pytest.mark.parametrize("name", ["store", "postgres", "prometheus", "practice"])
def test_what_needs_no_way_out_has_none(name: str) -> None:
    document = the_file()
    (network,) = document["services"][name]["networks"]
    assert document["networks"][network] == {"internal": True}


def test_every_service_is_unprivileged_on_a_read_only_root() -> None:
    for name, service in services().items():
        user, _, group = service["user"].partition(":")
        assert int(user) > 0 and int(group) > 0, name
        assert service["read_only"] is True, name
        assert all("mode=1777" in each for each in service["tmpfs"]), name
        assert service["mem_limit"] and service["pids_limit"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "healthcheck" in service, name


def test_no_secret_stands_in_the_file() -> None:
    document = the_file()
    assert all(set(secret) == {"file"} for secret in document["secrets"].values())
    for service in document["services"].values():
        for name in service.get("environment", {}):
            assert not re.search(r"PASSPHRASE$|TOKEN$|PASSWORD$|_URL$", name) or name.startswith("PERPGUARD_VENUES__")


def test_what_is_run_beside_the_guard_has_its_settings() -> None:
    """``docker compose exec guard perpguard ...`` gets the service's environment, not what a shell of it exported."""
    guard = services()["guard"]
    assert guard["command"] == ["perpguard", "up"]
    for name in ("store_url", "audit_url"):
        assert guard["environment"][f"PERPGUARD_{name.upper()}_FILE"] == f"/run/secrets/{name}"
        assert name in guard["secrets"]


def test_each_secret_is_made_by_what_the_file_says_to_do_first() -> None:
    head = (ROOT / "docker-compose.yml").read_text(encoding="utf-8").partition("\nname:")[0]
    assert all(name in head.partition("chmod")[0] for name in the_file()["secrets"])
    assert len(before_the_first_start()) == 2


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_that_is_asked_to_stop_is_given_the_time_it_may_take(guard: str) -> None:
    (minutes,) = re.fullmatch(r"(\d+)m", services()[guard]["stop_grace_period"]).groups()  # type: ignore[union-attr]
    assert int(minutes) * 60 > STOP_TIMEOUT_S + WATCHDOG_STOP_TIMEOUT_S


def test_the_images_of_others_are_pinned_by_their_version() -> None:
    for name, service in services().items():
        assert re.search(r":v?\d+\.\d+", service["image"]), name


def test_the_image_is_installed_by_hash_and_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "RUN .venv/bin/pip install --require-hashes -r requirements/run.txt" in lines
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]
    for line in lines:
        if line.startswith("COPY ") and "--from=" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
