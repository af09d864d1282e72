"""The services of docker-compose.yml started without Docker, by their own commands, and asked by their health checks.

Docker is not everywhere, so what stands in the file runs here, with the container's paths, names and ports put in terms
of this machine. Grafana is not in Debian: of it only the files that it is given are checked (``test_monitoring.py``).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from tests.support.compose import (
    GUARDS,
    ROOT,
    START_TIMEOUT_S,
    Machine,
    a_machine,
    fill_the_vault,
    running,
    services,
    wait_until_healthy,
)

CONFIGS = ROOT / "configs"
DEBIANS_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return a_machine(tmp_path)


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


def refused_without_password(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 2) as stranger:
        stranger.sendall(b"PING\r\n")
        return stranger.recv(64).startswith(b"-NOAUTH")


@pytest.mark.full
@pytest.mark.skipif(not all(map(shutil.which, ("prometheus", "wget"))), reason="needs Debian's prometheus and wget")
def test_prometheus_scrapes_the_guard_and_keeps_its_rules(machine: Machine) -> None:
    """The services' own commands and the configuration that is shipped, with this machine's paths and ports."""
    write_prometheus_configuration(machine)
    with ExitStack() as stack:
        for service in ("store", "practice"):
            stack.enter_context(running(machine, service))
            wait_until_healthy(machine, service)
        fill_the_vault(machine, "guard")
        for service in ("guard", "prometheus"):
            stack.enter_context(running(machine, service))
            wait_until_healthy(machine, service)
        assert wait_for(machine, "perpguard_store_up", lambda rows: bool(rows))[0]["value"][1] == "1"
        states = wait_for(machine, "perpguard_trading_state", lambda rows: len(rows) >= 2)
        assert {(each["metric"]["level"], each["value"][1]) for each in states} >= {("desk", "0"), ("account", "0")}
        gates = wait_for(machine, "perpguard_gate_up", lambda rows: len(rows) == 2)
        assert {each["metric"]["job"] for each in gates} == {"perpguard"}
        loaded = asked(machine, "rules")["groups"][0]["rules"]
        assert len(loaded) == len(yaml.safe_load((CONFIGS / "prometheus-rules.yml").read_text())["groups"][0]["rules"])
        assert not [each["lastError"] for each in loaded if each["health"] == "err"]


@pytest.mark.full
@pytest.mark.skipif(not DEBIANS_POSTGRES, reason="Debian's postgresql is not installed")
def test_the_audits_database_starts_and_takes_the_password_that_the_guard_sends(machine: Machine) -> None:
    """The image's entry point makes the database; here the test does, and then runs the service's own command."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perpguard-postgres-")))
        password = directory / "password"
        shutil.copy(machine.directory / "secrets" / "audit_password", password)
        # PostgreSQL does not run as root.
        user = "postgres" if os.geteuid() == 0 else None
        if user is not None:
            shutil.chown(directory, user)
            shutil.chown(password, user)
        given = services()["postgres"]["environment"]
        environment = {
            "PATH": f"{DEBIANS_POSTGRES[-1]}:{os.environ['PATH']}",
            "PGDATA": str(directory / "data"),
            "PGPORT": str(machine.ports["postgres"]),
        }
        initial = given["POSTGRES_INITDB_ARGS"].split()
        made = ["initdb", "--username", given["POSTGRES_USER"], f"--pwfile={password}", *initial]
        subprocess.run(made, env=environment, user=user, check=True, capture_output=True, timeout=60)
        sockets = ["-c", f"unix_socket_directories={directory}"]
        log = stack.enter_context((machine.directory / "postgres.log").open("wb"))
        server = subprocess.Popen(
            machine.command("postgres") + sockets, env=environment, user=user, stdout=log, stderr=log
        )
        stack.callback(server.wait, 30)
        stack.callback(server.send_signal, signal.SIGINT)
        deadline = time.monotonic() + START_TIMEOUT_S
        while subprocess.run(machine.health("postgres"), env=environment, capture_output=True).returncode != 0:
            assert time.monotonic() < deadline, (machine.directory / "postgres.log").read_text()
            time.sleep(0.1)
        address = {"host": "127.0.0.1", "port": machine.ports["postgres"], "user": given["POSTGRES_USER"]}
        secret = password.read_text().strip()
        with psycopg.connect(**address, dbname="postgres", password=secret, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {given['POSTGRES_DB']}")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(**address, dbname=given["POSTGRES_DB"], password="guessed")
        url = Path(machine.environment("guard")["PERPGUARD_AUDIT_URL_FILE"]).read_text()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == (given["POSTGRES_DB"],)


def write_prometheus_configuration(machine: Machine) -> None:
    """The shipped files, with the guard's address on this machine."""
    shipped = (
        (CONFIGS / "prometheus.yml").read_text().replace("guard:8081", f"127.0.0.1:{machine.ports['guard-console']}")
    )
    (machine.directory / "prometheus.yml").write_text(machine.local(shipped, "prometheus"))
    shutil.copy(CONFIGS / "prometheus-rules.yml", machine.directory / "prometheus-rules.yml")


def asked(machine: Machine, path: str, **query: str) -> Any:
    url = f"http://127.0.0.1:{machine.ports['prometheus']}/api/v1/{path}"
    return httpx.get(url, params=query, timeout=5, trust_env=False).raise_for_status().json()["data"]


def wait_for(machine: Machine, query: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """The answer to a query of Prometheus, once it is enough."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        rows: list[Any] = asked(machine, "query", query=query)["result"]
        if enough(rows):
            return rows
        time.sleep(0.2)
    pytest.fail(f"{query}: {rows}; targets: {asked(machine, 'targets')['activeTargets']}")
