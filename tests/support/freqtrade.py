"""The real freqtrade as a process of its own environment: the README's configuration, a strategy, its REST API."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import httpx

from tests.support.worlds import LiveWorld, until

ROOT: Final = Path(__file__).resolve().parents[2]
COMMAND: Final = ROOT / ".venv-clients" / "freqtrade" / "bin" / "freqtrade"
"""Installed by ``make test-full``."""

_STRATEGY: Final = '''
from freqtrade.strategy import IStrategy


class AlwaysIn(IStrategy):
    """Wants to be long on every candle; sells at no price of its own."""

    INTERFACE_VERSION = 3
    timeframe = "1m"
    process_only_new_candles = False
    startup_candle_count = 1
    minimal_roi = {"0": 10.0}
    stoploss = -0.15
    order_types = {
        "entry": "market",
        "exit": "market",
        "emergency_exit": "market",
        "force_exit": "market",
        "stoploss": "market",
        "stoploss_on_exchange": True,
    }

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe

    def leverage(self, pair, current_time, current_rate, proposed_leverage, max_leverage, entry_tag, side, **kwargs):
        return 3.0
'''


def documented_configuration(world: LiveWorld) -> dict[str, Any]:
    """The README's freqtrade block with this world's address and key in it."""
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (block,) = (each for each in blocks if '"trading_mode"' in each)
    gate = world.places.gate
    text = block.replace("http://127.0.0.1:8080/binanceusdm", gate)
    text = text.replace("ws://127.0.0.1:8080/binanceusdm", gate.replace("http://", "ws://", 1))
    text = text.replace("GUARD_KEY", world.guard_key.key).replace("GUARD_SECRET", world.guard_key.secret.reveal())
    configuration: dict[str, Any] = json.loads(text)
    return configuration


class Freqtrade:
    """A running ``freqtrade trade``: live, futures, isolated, stop-loss on the exchange. Asks no host but the guard."""

    def __init__(self, world: LiveWorld, directory: Path, pair: str = "BTC/USDT:USDT") -> None:
        assert COMMAND.is_file(), "freqtrade is not installed: run `make test-full`"
        self._directory = directory
        self._password = secrets.token_hex(16)
        self._port = _free_port()
        strategies = directory / "strategies"
        strategies.mkdir(parents=True)
        (strategies / "always_in.py").write_text(_STRATEGY)
        self._write_configuration(documented_configuration(world), pair)
        self._api = httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}/api/v1", auth=("test", self._password), trust_env=False, timeout=30
        )

    def __enter__(self) -> Freqtrade:
        """Start it and wait until it trades."""
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        with self.log_path.open("w") as log:
            self._process = subprocess.Popen(
                [COMMAND, "trade", "--config", "config.json", "--userdir", ".", "--strategy", "AlwaysIn"],
                cwd=self._directory,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        try:
            until(self._runs, "freqtrade runs", 90, every_s=0.5)
        except AssertionError:
            self._stop()
            raise AssertionError(self.log()[-3000:]) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it as a user does."""
        self._stop()

    @property
    def log_path(self) -> Path:
        """Everything it prints."""
        return self._directory / "freqtrade.log"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def open_trades(self) -> list[dict[str, Any]]:
        """The trades it knows of and has not closed."""
        trades: list[dict[str, Any]] = self._api.get("/status").raise_for_status().json()
        return trades

    def closed_trades(self) -> list[dict[str, Any]]:
        """The trades it has closed."""
        trades = self._api.get("/trades").raise_for_status().json()["trades"]
        return [trade for trade in trades if not trade["is_open"]]

    def enter_no_more(self) -> None:
        """Open trades go on, new ones are not opened."""
        self._api.post("/stopentry").raise_for_status()

    def force_exit(self, trade_id: int) -> None:
        """Close a trade at the market."""
        self._api.post("/forceexit", json={"tradeid": str(trade_id)}).raise_for_status()

    def _runs(self) -> bool:
        assert self._process.poll() is None, "freqtrade ended by itself"
        try:
            state: str = self._api.get("/show_config").raise_for_status().json()["state"]
        except httpx.HTTPError:
            return False
        return state == "running"

    def _stop(self) -> None:
        self._api.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write_configuration(self, documented: dict[str, Any], pair: str) -> None:
        configuration = documented | {
            "dry_run": False,
            "max_open_trades": 1,
            "stake_currency": "USDT",
            "stake_amount": 1_000,
            "fiat_display_currency": "",
            "timeframe": "1m",
            "entry_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
            "exit_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
            "pairlists": [{"method": "StaticPairList"}],
            "telegram": {"enabled": False, "token": "", "chat_id": ""},
            "api_server": {
                "enabled": True,
                "listen_ip_address": "127.0.0.1",
                "listen_port": self._port,
                "username": "test",
                "password": self._password,
                "jwt_secret_key": secrets.token_hex(32),
            },
            "bot_name": "freqtrade",
            "initial_state": "running",
            "internals": {"process_throttle_secs": 1},
        }
        configuration["exchange"] |= {"pair_whitelist": [pair], "pair_blacklist": []}
        (self._directory / "config.json").write_text(json.dumps(configuration))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
