"""The guard of the bench: everything real, one gate, and the bench's upstream where the exchange would be."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from bench.path.account import BALANCE, Owner
from bench.path.orders import Key, Terms
from bench.path.policy import DESK, lifted
from bench.processes import guard_processes
from proxy.clock import utc_now
from proxy.practice.world import World
from proxy.tls.names import names_of
from proxy.tls.shelf import TlsShelf
from proxy.vault.vault import Vault

NAME: Final = "guard.localhost"
BOTS: Final = 32
"""Their keys take turns, so that none of them is busier than a bot can be."""

_START_TIMEOUT_S: Final = 120.0
"""A busy machine is one that benches are run on, too."""


class PathWorld(World):
    """A world whose venue is the upstream, and whose gate has a second door by TLS."""

    def __init__(self, directory: Path, *, bots: int = BOTS) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        policy = directory / "policy.toml"
        policy.write_text(lifted(DESK.read_text(encoding="utf-8")), encoding="utf-8")
        super().__init__(
            directory,
            policy,
            scenario="flat",
            balance=BALANCE,
            gate_workers=1,
            bots=tuple(f"bot-{number}" for number in range(bots)),
            start_timeout_s=_START_TIMEOUT_S,
        )
        self.terms: Terms
        self.upstream: str
        self.https: str

    @property
    def environment(self) -> dict[str, str]:
        """See ``World.environment``."""
        return super().environment | {"PERPGUARD_GATE_HTTPS_PORT": "0"}

    @property
    def keys(self) -> list[Key]:
        """The bots' guard keys."""
        return [Key(each.key, each.secret.reveal()) for each in self.guard_keys.values()]

    @property
    def authority(self) -> str:
        """The file of the certificate authority the second door is known by."""
        return str(self.data_dir / "tls" / "ca.pem")

    @property
    def certificate(self) -> str:
        """The file of its certificate and key."""
        return str(self.data_dir / "tls" / "gate.pem")

    @property
    def gates(self) -> list[int]:
        """The gate's process."""
        return [pid for name, pid in guard_processes(self.guard_pid).items() if name.startswith("gate")]

    @property
    def stores(self) -> list[int]:
        """The store's."""
        return [pid for name, pid in guard_processes(self.guard_pid).items() if name == "store"]

    def taken(self) -> int:
        """How many orders have come to the upstream."""
        return int(httpx.get(f"{self.upstream}/bench/count", trust_env=False).raise_for_status().json()["orders"])

    def start_exchange(self) -> str:
        """See ``World.start_exchange``: the upstream before it is the guard's venue."""
        # The account stands as the guard is to find it, and the upstream between them, before the guard starts.
        exchange = super().start_exchange()
        with Owner(exchange, self.exchange_key, self.exchange_secret) as owner:
            self.terms = owner.fill()
            templates = owner.example(self.terms)
        parts = urlsplit(exchange)
        task: dict[str, Any] = {
            "answer": templates.answer,
            "frames": templates.frames,
            "backend": (parts.hostname, parts.port),
            "key": self.exchange_key,
        }
        self.upstream = f"http://127.0.0.1:{self._upstream(task)}"
        return self.upstream

    def _upstream(self, task: dict[str, Any]) -> int:
        process = started([sys.executable, "-m", "bench.path.upstream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stack.callback(ended, process)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(task).encode() + b"\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def fill_vault(self, vault: Vault) -> None:
        """See ``World.fill_vault``; and what the second door shows."""
        super().fill_vault(vault)
        TlsShelf(self.data_dir).begin(names_of(NAME), utc_now())  # `perpguard tls init`

    def start_guard(self) -> tuple[str, str]:
        """See ``World.start_guard``."""
        places = super().start_guard()
        assert self._guard is not None and self._guard.stdout is not None
        self.https = f"https://{NAME}:{urlsplit(self._guard.stdout.readline().split()[1]).port}"
        return places


def started(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """A process in a session of its own, so that an interrupt at the keyboard does not end it before its turn."""
    return subprocess.Popen(command, start_new_session=True, **options)


def ended(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, and wait."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
