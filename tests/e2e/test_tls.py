"""HTTP and HTTPS at one gate: ccxt by its own names, with the whole of its error mapping, beside bots on plain HTTP."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import ccxt
import ccxt.pro
import pytest

from proxy.practice.client import repointed
from proxy.practice.world import WorldFailed
from proxy.vault.vault import Vault
from tests.support.policies import a_policy
from tests.support.worlds import LiveWorld

NAME = "guard.localhost"
BTC = "BTC/USDT:USDT"


class TlsWorld(LiveWorld):
    """A guard with a second door. ``https`` is its address by the name that ccxt looks for."""

    https: str

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PERPGUARD_GATE_HTTPS_PORT": "0"}

    def fill_vault(self, vault: Vault) -> None:
        super().fill_vault(vault)
        done = self.command("tls", "init", "--name", NAME)
        assert done.returncode == 0, done.stderr

    def start_guard(self) -> tuple[str, str]:
        places = super().start_guard()
        assert self._guard is not None and self._guard.stdout is not None
        line = self._guard.stdout.readline()
        self.https = f"https://fapi.{NAME}:{line.rpartition(':')[2].partition('/')[0]}"
        return places

    @property
    def authority(self) -> str:
        return str(self.data_dir / "tls" / "ca.pem")


@pytest.fixture
def names_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a line in the hosts file does."""
    found = socket.getaddrinfo

    def here(host: Any, *args: Any, **options: Any) -> Any:
        return found("127.0.0.1" if str(host).endswith(NAME) else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", here)


def at(world: TlsWorld, kind: Any, address: str, **options: Any) -> Any:
    key = world.guard_keys["demo-bot"]
    exchange = kind({"apiKey": key.key, "secret": key.secret.reveal(), "enableRateLimit": False, **options})
    exchange.urls["api"] = repointed(exchange.urls["api"], address + "/binanceusdm")
    return exchange


async def test_ccxt_reads_every_code_by_tls_and_plain_bots_go_on(
    tmp_path: Path, names_are_found: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TlsWorld(tmp_path, a_policy()) as world:
        hostname = f"{NAME}:{world.https.rpartition(':')[2]}"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", world.authority)
        secure = at(world, ccxt.binanceusdm, world.https, hostname=hostname, requests_trust_env=True)
        plain = at(world, ccxt.binanceusdm, world.places.gate.removesuffix("/binanceusdm"))
        for exchange, trouble in ((secure, ccxt.InsufficientFunds), (plain, ccxt.ExchangeError)):
            placed = exchange.create_order(BTC, "limit", "buy", 0.01, 50_000)
            assert exchange.cancel_order(placed["id"], BTC)["status"] == "canceled"
            with pytest.raises(ccxt.ExchangeError, match="-2019") as refused:
                exchange.create_order(BTC, "market", "buy", 90)
            assert type(refused.value) is trouble

        streaming = at(world, ccxt.pro.binanceusdm, world.https, hostname=hostname, cafile=world.authority)
        try:
            placed = await streaming.create_order(BTC, "limit", "buy", 0.01, 50_000)
            assert [each["id"] for each in await streaming.fetch_open_orders(BTC)] == [placed["id"]]
            assert (await streaming.watch_ticker(BTC))["symbol"] == BTC
        finally:
            await streaming.close()


def test_a_client_that_does_not_trust_it_says_nothing(tmp_path: Path) -> None:
    with TlsWorld(tmp_path, a_policy()) as world:
        port = int(world.https.rpartition(":")[2])
        with (
            pytest.raises(ssl.SSLCertVerificationError),
            socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        ):
            ssl.create_default_context().wrap_socket(raw, server_hostname=f"fapi.{NAME}")
        # Plain HTTP at that door is no request, and a gate that was spoken to so serves on.
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: guard\r\n\r\n")
            assert b"200" not in raw.recv(4096)
        assert world.answers()


def test_without_a_certificate_the_guard_does_not_start_and_says_how(tmp_path: Path) -> None:
    class Unmade(LiveWorld):
        @property
        def environment(self) -> dict[str, str]:
            return super().environment | {"PERPGUARD_GATE_HTTPS_PORT": "0"}

    with pytest.raises(WorldFailed), Unmade(tmp_path, a_policy()):
        raise AssertionError("it started")
    assert "perpguard tls init" in (tmp_path / "guard.log").read_text()
