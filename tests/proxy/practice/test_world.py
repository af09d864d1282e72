"""The demo's world is its own: what the environment says of somebody's guard does not reach the one it starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from proxy.practice.world import World
from tests.support.worlds import START_TIMEOUT_S

ROOT = Path(__file__).resolve().parents[3]


def test_no_store_and_no_exchange_of_the_environment_is_spoken_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as store, socket.create_server(("127.0.0.1", 0)) as exchange:
        # Settings are found whatever the case of their names.
        monkeypatch.setenv("PERPGUARD_STORE_URL", f"redis://127.0.0.1:{store.getsockname()[1]}")
        monkeypatch.setenv("perpguard_venues__binanceusdm__url", f"http://127.0.0.1:{exchange.getsockname()[1]}")
        monkeypatch.setenv("PERPGUARD_DESK", "production")
        policy = ROOT / "configs" / "policies" / "demo.toml"
        # It is entered when the account has been surveyed.
        with World(
            tmp_path / "data", policy, scenario="flat", gate_workers=1, start_timeout_s=START_TIMEOUT_S
        ) as world:
            assert [
                name for name in world.environment if name.upper().startswith(("PERPGUARD_STORE", "PERPGUARD_VENUES"))
            ] == []
        for foreign in (store, exchange):
            foreign.setblocking(False)
            with pytest.raises(BlockingIOError):
                foreign.accept()
