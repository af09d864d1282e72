"""Everything the demo needs on this machine, started for real and stopped in order: no stub, no canned answer."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import httpx

from proxy.clock import utc_now
from proxy.vault.keys import GuardKey, Secret
from proxy.vault.opening import vault_path
from proxy.vault.vault import Vault
from proxy.venues.binance.venue import VENUE

ACCOUNT: Final = "demo"
BOT: Final = "demo-bot"
BALANCE: Final = 10_000
_START_TIMEOUT_S: Final = 40.0


class WorldFailed(Exception):
    """A part of the demo did not start, or did not do what the story says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are while the demo runs."""

    exchange: str
    gate: str
    console: str


def inherited_environment() -> dict[str, str]:
    """This process's environment without anything that a guard reads: what stands there wins over the settings of a
    guard that is started here, and may name somebody's store, exchange or archive."""
    # Settings are found whatever the case of their names.
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("PERPGUARD_")}


class World:
    """The practice exchange, the guard with its embedded store, one account and one guard key.

    Entering it calls ``start_exchange``, ``fill_vault`` and ``start_guard``, in this order. A world of another kind
    overrides these, or ``exchange_settings``, and does more in them or something else.
    """

    def __init__(
        self,
        data_dir: Path,
        policy: Path,
        *,
        gate_port: int = 0,
        control_port: int = 0,
        scenario: str = "calm",
        balance: int = BALANCE,
        gate_workers: int = 2,
        bots: tuple[str, ...] = (BOT,),
        withdrawals: bool = False,
        weight_limit: int = 0,
        order_limit: int = 0,
        more_settings: str = "",
        codes: str = "none",
        start_timeout_s: float = _START_TIMEOUT_S,
    ) -> None:
        """The exchange counts weight and orders without refusing, unless a limit is given, as Binance's are.

        ``codes`` says who needs an authenticator app.
        """
        self.data_dir = data_dir
        self.exchange_key = f"practice-{secrets.token_hex(12)}"
        self.exchange_secret = Secret(secrets.token_hex(32))
        self.control_token = Secret(secrets.token_urlsafe(24))
        self._passphrase = Secret(secrets.token_urlsafe(24))
        self._policy = policy.resolve()
        self._ports = (gate_port, control_port)
        self._scenario = scenario
        self._balance = balance
        self._gate_workers = gate_workers
        self._bots = bots
        self._withdrawals = withdrawals
        self._limits = (order_limit, weight_limit)
        self._more_settings = more_settings
        self._codes = codes
        self._start_timeout_s = start_timeout_s
        self._stack = ExitStack()
        self._guard: subprocess.Popen[str] | None = None
        self.places: Places
        self.way_in = ""
        """What the guard said of signing in: the first admin's link, while there is none."""
        self.guard_keys: dict[str, GuardKey] = {}

    def __enter__(self) -> Self:
        """Start everything; when it returns, a bot can trade."""
        with ExitStack() as stack:
            self._stack = stack
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            exchange = self.start_exchange()
            self._write_settings(exchange)
            self.fill_vault(Vault.create(vault_path(self.data_dir), self._passphrase))
            gate, console = self.start_guard()
            self.places = Places(exchange=exchange, gate=gate, console=console)
            self._wait_until_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self._stack.close()

    @property
    def guard_pid(self) -> int:
        """Process id of the supervisor, whose children are the store, the warden and the gates."""
        if self._guard is None:
            raise WorldFailed("the guard was not started")
        return self._guard.pid

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the guard's processes: passphrase and control token are in it."""
        return inherited_environment() | {
            "PERPGUARD_PASSPHRASE": self._passphrase.reveal(),
            "PERPGUARD_CONTROL_TOKEN": self.control_token.reveal(),
            "PERPGUARD_CONFIG": str(self.data_dir / "perpguard.toml"),
        }

    def stop_guard(self) -> None:
        """Stop gates, warden and store; the practice exchange goes on."""
        if self._guard is not None:
            _stop(self._guard)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one ``perpguard`` command on this world's data directory."""
        return subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "proxy", "--data-dir", str(self.data_dir), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env=self.environment,
            check=False,
        )

    def start_exchange(self) -> str:
        """Start the practice exchange; the URL at which the guard is to find it."""
        # In a file and not on the command line, as one would with a real key.
        config = self.data_dir / "exchange.toml"
        descriptor = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.exchange_settings)
        process = self._spawn([sys.executable, "-m", "sandbox", "--port", "0", "--config", str(config)], "exchange.log")
        return _line_after(process, "practice exchange ready ")

    @property
    def exchange_settings(self) -> str:
        """The practice exchange's settings file, as text."""
        order_limit, weight_limit = self._limits
        return (
            f'seed = 7\nscenario = "{self._scenario}"\norder_limit = {order_limit}\nweight_limit = {weight_limit}\n'
            f'[[account]]\nname = "{ACCOUNT}"\napi_key = "{self.exchange_key}"\n'
            f'api_secret = "{self.exchange_secret.reveal()}"\nbalance = "{self._balance}"\n'
            f"withdrawals = {str(self._withdrawals).lower()}\n"
        )

    def _write_settings(self, exchange: str) -> None:
        gate_port, control_port = self._ports
        (self.data_dir / "perpguard.toml").write_text(
            f'data_dir = "."\npolicy = "{self._policy}"\ndesk = "demo"\n'
            f"gate_port = {gate_port}\ncontrol_port = {control_port}\ngate_workers = {self._gate_workers}\n"
            f'control_codes = "{self._codes}"\n'
            f'markets_every_s = 0.5\n[venues.{VENUE}]\nurl = "{exchange}"\n'
            f"{self._more_settings}"
        )

    def fill_vault(self, vault: Vault) -> None:
        """Put the account's exchange key into the guard's new vault, and a guard key for every bot."""
        now = utc_now()
        vault.add_exchange_key(
            account=ACCOUNT, venue=VENUE, api_key=self.exchange_key, api_secret=self.exchange_secret, now=now
        )
        for bot in self._bots:
            self.guard_keys[bot] = vault.issue(bot=bot, account=ACCOUNT, label="demo", now=now)

    @property
    def guard_key(self) -> GuardKey:
        """The first bot's guard key."""
        return self.guard_keys[self._bots[0]]

    def start_guard(self) -> tuple[str, str]:
        """Start the guard on what stands in its data directory; where its gate is, and where its console."""
        command = [sys.executable, "-m", "proxy", "--data-dir", str(self.data_dir), "up"]
        self._guard = self._spawn(command, "guard.log")
        places = _line_after(self._guard, "gate    "), _line_after(self._guard, "console ")
        self.way_in = _line_after(self._guard, "people  ")
        return places

    def _spawn(self, command: list[str], log: str) -> subprocess.Popen[str]:
        errors: IO[str] = self._stack.enter_context((self.data_dir / log).open("w"))
        process = subprocess.Popen(  # noqa: S603 - our own modules
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=self.environment, start_new_session=True
        )
        self._stack.callback(_stop, process)
        return process

    def _wait_until_ready(self) -> None:
        """Until the console answers and the account has been surveyed: before that, entries are refused."""
        deadline = time.monotonic() + self._start_timeout_s
        while time.monotonic() < deadline:
            try:
                desk = self.ask("GET", "/api/desk")
                surveyed = all(
                    account["survey_age_s"] is not None and account["feed"]["state"] != "STALE"
                    for account in desk["accounts"]
                )
                if surveyed and desk["accounts"] and desk["markets_age_s"] is not None:
                    httpx.get(self.places.gate.removesuffix(f"/{VENUE}") + "/healthz", trust_env=False)
                    return
            except (httpx.HTTPError, WorldFailed):
                pass
            time.sleep(0.1)
        raise WorldFailed(f"the guard was not ready in {self._start_timeout_s:g} s; see {self.data_dir / 'guard.log'}")

    def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        """One call of the control door with the machine's token."""
        reply = httpx.request(
            method,
            self.places.console.rstrip("/") + path,
            json=body,
            headers={"Authorization": f"Bearer {self.control_token.reveal()}"},
            timeout=10,
            trust_env=False,
        )
        if reply.status_code >= 400:
            raise WorldFailed(f"{method} {path} answered {reply.status_code}")
        return reply.json()


def _line_after(process: subprocess.Popen[str], start: str) -> str:
    assert process.stdout is not None  # noqa: S101 - spawned with a pipe
    line = process.stdout.readline()
    if not line.startswith(start):
        raise WorldFailed(f"expected {start!r}, read {line!r}")
    return line.removeprefix(start).strip()


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
