"""A key switched off where it really happens, in the vault's file or the store, closes the sockets bound to it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.clock import utc_now
from proxy.gate.bot_socket import SocketGone
from proxy.gate.identity import Identities
from proxy.gate.streams.hooks import TradingApi
from proxy.gate.streams.keys import KeyedSockets
from proxy.store.gate_store import GateStore
from proxy.store.trouble import StoreUnavailable
from proxy.store.warden_store import WardenStore
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault
from tests.proxy.gate.socket_worlds import a_world, close_code, received

PASSPHRASE = Secret("correct horse battery")


class Bound:
    """A trading API whose sockets all belong to one guard key."""

    def __init__(self, guard_key: str) -> None:
        self.guard_key = guard_key
        self.keys: KeyedSockets

    async def serve(self, socket, client):
        self.keys.bind(self.guard_key, socket)
        socket.send(b"bound")
        try:
            while True:
                await socket.receive()
        except SocketGone:
            self.keys.release(self.guard_key, socket)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    created = Vault.create(tmp_path / "vault" / "vault.json", PASSPHRASE, work_factor=2**14)
    created.add_exchange_key(
        account="demo", venue="binanceusdm", api_key="key", api_secret=Secret("secret"), now=utc_now()
    )
    return created


@pytest.mark.parametrize("how", ["disabled in the vault", "rotated in the vault", "disabled in the store"])
async def test_the_socket_is_closed_within_a_second(how, server, tmp_path, vault):
    key = vault.issue(bot="demo-bot", account="demo", label="test", now=utc_now()).key
    store, warden = GateStore(server.url, "sockets", timeout_s=2.0), WardenStore(server.url, "sockets")
    trading: TradingApi = (bound := Bound(key))
    identities = Identities(vault, "binanceusdm")
    async with a_world(trading=trading, active=identities.obeys, disabled=store.disabled_keys) as (_, gate):
        bound.keys = gate.keys
        async with gate.connect("/ws-fapi/v1") as bot:
            assert await received(bot) == "bound"
            elsewhere = Vault.open(tmp_path / "vault" / "vault.json", PASSPHRASE)
            match how:
                case "disabled in the vault":
                    elsewhere.disable(key, utc_now())
                case "rotated in the vault":
                    elsewhere.rotate(key, utc_now())
                case _:
                    await warden.set_key_disabled(key, disabled=True)
            async with asyncio.timeout(1):
                assert await close_code(bot) == 1008
    await store.aclose()
    await warden.aclose()


async def test_without_the_store_the_vault_still_counts(tmp_path, vault):
    key = vault.issue(bot="demo-bot", account="demo", label="test", now=utc_now()).key
    store = GateStore(f"unix://{tmp_path}/nothing.sock", "sockets")
    with pytest.raises(StoreUnavailable):
        await store.disabled_keys()
    bound = Bound(key)
    identities = Identities(vault, "binanceusdm")
    async with a_world(trading=bound, active=identities.obeys, disabled=store.disabled_keys) as (_, gate):
        bound.keys = gate.keys
        async with gate.connect("/ws-fapi/v1") as bot:
            assert await received(bot) == "bound"
            Vault.open(tmp_path / "vault" / "vault.json", PASSPHRASE).disable(key, utc_now())
            async with asyncio.timeout(1):
                assert await close_code(bot) == 1008
    await store.aclose()
