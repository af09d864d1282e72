"""What the vault says of guard keys reaches store and record, over a real vault and a real store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from proxy.control.keys import KeysControl
from proxy.store.embedded import EmbeddedStore
from proxy.store.keys import Keys
from proxy.store.warden_store import WardenStore
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault
from proxy.warden import keys_mirror
from proxy.warden.keys_mirror import AccountsChanged, KeysMirror

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PASSPHRASE = Secret("a passphrase of some length")


@dataclass
class World:
    """A vault with one guard key, the mirror of it, and the command line that opens the same file."""

    url: str
    directory: Path
    recorded: list[tuple[str, str, str]] = field(default_factory=list)
    taken: bool = True
    told: list[str] = field(default_factory=list)
    accounts: set[str] = field(default_factory=lambda: {"main"})

    def __post_init__(self) -> None:
        path = self.directory / "vault" / "vault.json"
        self.vault = Vault.create(path, PASSPHRASE, work_factor=2**14)
        self.vault.add_exchange_key(
            account="main", venue="binanceusdm", api_key="k" * 64, api_secret=Secret("s" * 64), now=NOW
        )
        self.key = self.vault.issue(bot="grid", account="main", label="grid", now=NOW).key
        self.elsewhere = Vault.open(path, PASSPHRASE)
        self.store = WardenStore(self.url, self.directory.name)
        self.mirror = KeysMirror(
            vault=self.vault, store=self.store, record=self._record, accounts=lambda: self.accounts
        )

    async def _record(self, what: str, by: str, detail: dict[str, Any], *, heard: bool = False) -> bool:
        self.told += [] if heard else [what]
        self.recorded.append((what, by, detail["bot"]))
        return self.taken

    async def _record_at_the_door(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.recorded.append((what, by, detail["bot"]))

    def door(self) -> KeysControl:
        return KeysControl(
            vault=self.vault,
            watches={},
            record=self._record_at_the_door,
            spoken_for=self.mirror.spoken_for,
            now=lambda: NOW,
        )

    def off(self) -> bool:
        """Whether the store says that the key is off."""
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            return bool(client.hexists(Keys(self.directory.name).disabled, self.key))

    def empty_store(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


@pytest.fixture(scope="module")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedStore(tmp_path_factory.mktemp("keys")) as store:
        yield store.url


@pytest.fixture
async def world(store_url: str, tmp_path: Path) -> AsyncIterator[World]:
    made = World(store_url, tmp_path)
    yield made
    await made.store.aclose()


async def test_a_key_that_is_off_is_off_again_in_a_store_that_was_emptied(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.elsewhere.disable(world.key, NOW)
    await world.mirror.look()
    assert world.off()
    world.empty_store()
    monkeypatch.setattr(keys_mirror, "WHOLE_EVERY_S", 0)
    await world.mirror.look()
    assert world.off()
    world.empty_store()
    await world.mirror.publish()
    assert world.off(), "and before a new store is said to be filled"


async def test_what_the_command_line_switches_is_recorded_once(world: World) -> None:
    for switch in (world.elsewhere.disable, world.elsewhere.enable):
        switch(world.key, NOW)
        await world.mirror.look()
        await world.mirror.look()
    assert world.recorded == [("key.disabled", "command line", "grid"), ("key.enabled", "command line", "grid")]
    world.elsewhere.issue(bot="other", account="main", label="new", now=NOW)
    world.elsewhere.rotate(world.key, NOW)
    await world.mirror.look()
    assert len(world.recorded) == 2, "neither is a switch"


async def test_what_the_record_did_not_take_is_told_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.elsewhere.disable(world.key, NOW)
    world.taken = False
    await world.mirror.look()
    await world.mirror.look()
    assert len(world.recorded) == 1, "not at once"
    monkeypatch.setattr(keys_mirror, "AGAIN_AFTER_S", -1.0)
    monkeypatch.setattr(world.mirror, "_told_not_before", 0)
    await world.mirror.look()
    world.taken = True
    await world.mirror.look()
    await world.mirror.look()
    assert len(world.recorded) == 3
    assert world.told == ["key.disabled"], "people heard of it the first time"
    world.elsewhere.enable(world.key, NOW)
    await world.mirror.look()
    world.elsewhere.disable(world.key, NOW)
    await world.mirror.look()
    assert world.told == ["key.disabled", "key.enabled", "key.disabled"], "each switch is one of its own"


async def test_a_key_that_was_switched_off_and_on_before_the_record_took_it_is_recorded_as_both(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_mirror, "AGAIN_AFTER_S", -1.0)
    world.taken = False
    world.elsewhere.disable(world.key, NOW)
    await world.mirror.look()
    world.elsewhere.enable(world.key, NOW)
    await world.mirror.look()
    world.recorded.clear()
    world.taken = True
    await world.mirror.look()
    await world.mirror.look()
    assert [what for what, _, _ in world.recorded] == ["key.disabled", "key.enabled"]
    assert world.told == ["key.disabled", "key.enabled"]
    world.elsewhere.disable(world.key, NOW)
    await world.mirror.look()
    assert world.told == ["key.disabled", "key.enabled", "key.disabled"], "a switch of later was heard of before"


async def test_a_key_that_was_switched_off_and_rotated_before_the_record_took_it_was_switched_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_mirror, "AGAIN_AFTER_S", -1.0)
    world.taken = False
    world.elsewhere.disable(world.key, NOW)
    await world.mirror.look()
    world.elsewhere.rotate(world.key, NOW)
    world.recorded.clear()
    world.taken = True
    await world.mirror.look()
    await world.mirror.look()
    assert [what for what, _, _ in world.recorded] == ["key.disabled"] == world.told


async def test_what_the_door_switched_since_is_the_last_word_of_a_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_mirror, "AGAIN_AFTER_S", -1.0)
    world.taken = False
    world.elsewhere.disable(world.key, NOW)
    await world.mirror.look()
    door = world.door()
    world.recorded.clear()
    await door.switch((await door.keys()).guard_keys[0].id, on=True, by="ann")
    world.taken = True
    await world.mirror.look()
    assert world.recorded == [("key.enabled", "ann", "grid")]


@pytest.mark.parametrize("bot", ["grid", "other"], ids=["of that key", "of a later one"])
async def test_a_switch_at_the_door_while_a_record_is_waited_for_is_the_last_word(
    world: World, monkeypatch: pytest.MonkeyPatch, bot: str
) -> None:
    """The record of what the command line switched takes its time; a person switches a key back meanwhile."""
    other = world.elsewhere.issue(bot="other", account="main", label="other", now=NOW).key
    await world.mirror.look()
    asked, goes_on = asyncio.Event(), asyncio.Event()

    async def record(what: str, by: str, detail: dict[str, Any], *, heard: bool = False) -> bool:
        asked.set()
        await goes_on.wait()
        return await world._record(what, by, detail, heard=heard)

    monkeypatch.setattr(world.mirror, "_record", record)
    for key in (world.key, other):
        world.elsewhere.disable(key, NOW)
    looking = asyncio.create_task(world.mirror.look())
    await asyncio.wait_for(asked.wait(), 5)
    door = world.door()
    (key_id,) = [each.id for each in (await door.keys()).guard_keys if each.bot == bot]
    await door.switch(key_id, on=True, by="ann")
    goes_on.set()
    await asyncio.wait_for(looking, 5)
    await world.mirror.look()
    switched_off = [("key.disabled", "command line", each) for each in ("grid", "other")]
    expected = switched_off if bot == "grid" else switched_off[:1]
    assert world.recorded == [("key.enabled", "ann", bot), *expected]


async def test_what_the_control_door_switches_is_recorded_there_alone(world: World) -> None:
    door = world.door()
    key_id = (await door.keys()).guard_keys[0].id
    await door.switch(key_id, on=False, by="ann")
    await world.mirror.look()
    assert world.recorded == [("key.disabled", "ann", "grid")] and world.off()
    world.elsewhere.enable(world.key, NOW)
    await world.mirror.look()
    assert world.recorded[1:] == [("key.enabled", "command line", "grid")]


async def test_a_vault_that_cannot_be_read_is_said_by_its_name_and_the_store_is_told_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.vault.disable(world.key, NOW)

    def refused() -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(world.vault, "reload_if_changed", refused)
    with caplog.at_level(logging.WARNING):
        await world.mirror.look()
    assert "the vault cannot be read again: Permission denied" in caplog.text
    assert "key states cannot be written to the store" not in caplog.text
    assert world.off()


async def test_other_accounts_end_the_process(world: World) -> None:
    world.accounts = {"main", "gone"}
    with pytest.raises(AccountsChanged):
        await world.mirror.look()
    with suppress(AccountsChanged):
        await world.mirror.run()


async def test_a_store_that_was_away_is_told_everything_once_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.elsewhere.disable(world.key, NOW)
    await world.mirror.look()
    other = world.elsewhere.issue(bot="other", account="main", label="new", now=NOW)

    async def away(guard_key: str, *, disabled: bool) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "set_key_disabled", away)
        await world.mirror.look()
    world.empty_store()
    await world.mirror.look()
    assert world.off() and world.vault.guard_key(other.key) is not None
