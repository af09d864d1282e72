"""A dry drill reads what bots might have read: it leaves the kill its part, and prices and surveys theirs."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.budget.published import Budget
from proxy.clock import milliseconds
from proxy.commands.drill import _dry
from proxy.drill import room as rooms
from proxy.drill.dry import never_sends
from proxy.drill.room import NoRoom, Room
from proxy.exchange.troubles import VenueThrottled
from proxy.exchange.venue_account import VenueAccount
from proxy.kill.hands import VenueHands
from proxy.settings import Settings
from proxy.store.embedded import EmbeddedStore
from proxy.store.warden_store import WardenStore
from proxy.vault.keys import ExchangeKey, Secret
from proxy.venues.binance.venue import VENUE
from tests.proxy.kill.practice_exchange import ROOT, SECRET, api_key, practice_exchange

MINUTE = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
WEIGHT = "weight-1m:"

# Of 2,400 a minute the kill of an empty account keeps 548. A rehearsal of one reads 5 x 91 and the listing, 456; prices
# come to 405 a minute, surveys of one account to 380.


def clock(second: float) -> Any:
    began = time.monotonic()
    return lambda: MINUTE + timedelta(seconds=second + time.monotonic() - began)


def keys(*accounts: str) -> tuple[ExchangeKey, ...]:
    return tuple(
        ExchangeKey(account=name, venue=VENUE, api_key=api_key(name), api_secret=Secret(SECRET), created_at=MINUTE)
        for name in accounts
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(tmp_path) as started:
        yield started


@pytest.fixture
async def store(server: EmbeddedStore) -> AsyncIterator[WardenStore]:
    opened = WardenStore(server.url, "desk")
    yield opened
    await opened.aclose()


async def published(store: WardenStore, *, reserve: int = 548) -> None:
    """The warden's word of what is kept."""
    await store.publish_budget(VENUE, Budget(version=1, limits={"weight-1m": 2_400}, reserves={WEIGHT: reserve}))


async def used(store: WardenStore, weight: int, at: datetime = MINUTE) -> None:
    """What some process heard from the exchange in that minute."""
    await store.share_budget(VENUE, "", {WEIGHT: (milliseconds(at) // 60_000, weight)})


def a_room(second: float, *known: str, **settings: Any) -> Room:
    accounts = keys(*(known or ("main",)))
    return Room(VENUE, accounts[:1], accounts, Settings(**settings), clock(second))


async def test_it_waits_for_the_exchange_s_next_minute_and_says_how_long(store: WardenStore) -> None:
    await published(store)
    await used(store, 1_500)
    said: list[str] = []
    began = time.monotonic()
    await a_room(58.9).wait(store, said.append)
    assert 1.3 <= time.monotonic() - began < 20
    assert [line.split(":")[0] for line in said] == ["waiting for the exchange's next minute", "waited 1 s"]


@pytest.mark.parametrize(
    ("second", "weight", "room"),
    [
        (0.5, 0, True),
        (5, 600, True),
        (5, 700, False),  # What prices and surveys need for fifty-five seconds more would not be there.
        (30, 800, True),
        (30, 900, False),  # At this pace it would not be there either: others ask for more than these.
        (59, 1_370, True),
        (59, 1_400, False),  # The kill's part would be read away.
    ],
)
async def test_room_is_what_kill_prices_and_surveys_do_not_need(
    store: WardenStore, second: float, weight: int, room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "WAIT_S_MAX", 0.0)
    await published(store)
    await used(store, weight)
    said: list[str] = []
    if room:
        await a_room(second).wait(store, said.append)
    else:
        with pytest.raises(NoRoom, match="one --account after another"):
            await a_room(second).wait(store, said.append)
    assert said == []


@pytest.mark.parametrize(("second", "weight", "room"), [(0.5, 100, True), (30, 600, False), (30, 400, True)])
async def test_an_address_too_narrow_for_all_of_it_has_room_at_the_beginning_of_a_minute(
    store: WardenStore, second: float, weight: int, room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two accounts on one: no minute has what both need. Nobody is kept from rehearsing for it."""
    monkeypatch.setattr(rooms, "WAIT_S_MAX", 0.0)
    await published(store, reserve=1_095)
    await used(store, weight)
    waiting = a_room(second, "main", "second").wait(store, lambda line: None)
    if room:
        await waiting
    else:
        with pytest.raises(NoRoom):
            await waiting


async def test_an_account_with_an_address_of_its_own_waits_for_no_other(store: WardenStore) -> None:
    await published(store)
    await used(store, 2_400)
    accounts: Any = {"main": {"egress": "127.0.0.7"}}
    await a_room(10, accounts=accounts).wait(store, pytest.fail)


async def test_where_no_guard_runs_nobody_waits(store: WardenStore, tmp_path: Path) -> None:
    await used(store, 2_400)
    await a_room(10).wait(store, pytest.fail)
    away = WardenStore(f"unix://{tmp_path}/nowhere.sock", "desk")
    try:
        await a_room(10).wait(away, pytest.fail)
    finally:
        await away.aclose()


async def test_its_reads_are_held_back_as_bots_reads_are(store: WardenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens where it would ask: it does not."""
    monkeypatch.setattr(rooms, "WAIT_S_MAX", 0.0)
    await published(store)
    await used(store, 1_840)
    room = a_room(10)
    with pytest.raises(NoRoom):
        await room.wait(store, pytest.fail)
    (key,) = keys("main")
    hands = VenueHands(
        never_sends(
            VenueAccount(
                name=key.account,
                venue=VENUE,
                api_key=key.api_key,
                secret=key.api_secret,
                base_url="http://127.0.0.1:9",
                trace=room.trace(key.account),
            )
        )
    )
    try:
        with pytest.raises(VenueThrottled, match="kept for the kill"):
            await hands.survey()
    finally:
        await hands.aclose()


async def test_a_dry_drill_asks_the_exchange_nothing_before_there_is_room(
    server: EmbeddedStore,
    store: WardenStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await published(store, reserve=1_950)  # A kill so dear that nothing of a minute is left for rehearsing it.
    async with practice_exchange("main", options=("--weight-limit", "2400")) as exchange:
        venues: Any = {VENUE: {"url": exchange.base_url}}
        policy = ROOT / "configs" / "policies" / "demo.toml"
        settings = Settings(data_dir=tmp_path, store_url=server.url, policy=policy, venues=venues)
        args = argparse.Namespace(settings=settings, by="ann")
        with pytest.raises(NoRoom, match="after 0 s of waiting"):
            await asyncio.to_thread(_dry, args, keys("main"), keys("main"))
        assert (await exchange.control("GET", "log"))["entries"] == []

        await store.publish_budget(VENUE, Budget(version=2, limits={"weight-1m": 6_000}, reserves={WEIGHT: 548}))
        report = await asyncio.to_thread(_dry, args, keys("main"), keys("main"))
        assert (report.passed, report.phase) == (True, "FLAT")
        assert "waited" not in capsys.readouterr().err
