"""The record in a real store: published, taken up again from the store or the disk, and never past an untold gap."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.accounts import memory as memories
from proxy.accounts import record_keeper, record_store, transfer_reader
from proxy.accounts.record_keeper import RecordKeeper
from proxy.audit.archive import Archive
from proxy.audit.place import archive_place
from proxy.exchange.payloads import TransferRow
from proxy.exchange.troubles import VenueThrottled, VenueUnavailable
from proxy.store.embedded import EmbeddedStore
from proxy.store.keys import Keys
from proxy.store.warden_store import WardenStore
from rules.account import Account
from rules.facts import AccountRecord, Unprotected
from rules.model import PositionSide, Side
from rules.snapshot import Market
from tests.proxy.accounts.builders import a_fill, a_survey, an_account_event, an_algo_event
from tests.proxy.accounts.test_performance import a_share
from tests.proxy.audit.conftest import SIGNER, TRUSTED, Desk
from tests.proxy.audit.test_scribe import FullDisk
from tests.support.scribes import a_scribe
from tests.support.worlds import until_async


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


class Venue:
    """The venue's list of income; ``trouble`` is raised, once each, before it answers."""

    def __init__(self) -> None:
        self.rows: list[TransferRow] = []
        self.trouble: list[Exception] = []
        self.asked: list[int] = []

    async def incomes(self, since_ms: int, kind: str = "") -> tuple[TransferRow, ...]:
        self.asked.append(since_ms)
        if self.trouble:
            raise self.trouble.pop(0)
        return tuple(self.rows)


def a_row(amount: str, asset: str = "USDT", at_ms: int | None = None) -> TransferRow:
    """A transfer of now."""
    at_ms = now_ms() if at_ms is None else at_ms
    return TransferRow(row_id=f"{at_ms}", kind="TRANSFER", at_ms=at_ms, amount=Decimal(amount), asset=asset)


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


class House:
    """What is around one account's keeper; ``start`` is a warden's start."""

    def __init__(self, server: EmbeddedStore, data_dir: Path) -> None:
        self.store = WardenStore(server.url, data_dir.name)
        self.key = Keys(data_dir.name).record("demo")
        self.redis = self.store._redis
        self.venue = Venue()
        self.data_dir = data_dir
        self.unprotected: tuple[Unprotected, ...] = ()
        self.keeper: RecordKeeper
        self.ahead_ms: int | None = 0
        self._task: asyncio.Task[None] | None = None
        self.version = 0

    async def start(self) -> RecordKeeper:
        await self.stop()
        self.keeper = RecordKeeper(
            account="demo",
            store=self.store,
            venue=self.venue,
            data_dir=self.data_dir,
            owner=lambda name: name.partition("/")[0] if "/" in name else "",
            markets=lambda: {"BTCUSDT": Market(symbol="BTCUSDT", mark_price=Decimal(100), as_of=datetime.now(UTC))},
            now=lambda: datetime.now(UTC),
            ahead_ms=lambda: self.ahead_ms,
            unprotected=lambda: self.unprotected,
        )
        self._task = asyncio.create_task(self.keeper.run())
        return self.keeper

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def document(self, balance: str, *shares: Any, **changes: Any) -> Account:
        """The next document, now."""
        self.version += 1
        account = a_survey(
            name="demo",
            version=self.version,
            as_of=datetime.now(UTC),
            margin_balance=Decimal(balance),
            shares=shares,
        )
        account = replace(account, **changes)
        self.keeper.published(account, self.version)
        return account

    async def told(self, balance: str, *shares: Any) -> AccountRecord:
        """The record in the store, as soon as documents of this balance are believed."""
        return await self.shown(balance, balance, *shares)

    async def shown(self, equity: str, balance: str, *shares: Any, **changes: Any) -> AccountRecord:
        """The record in the store, as soon as documents of this balance have made it show this equity."""
        async with asyncio.timeout(20):
            while True:
                self.document(balance, *shares, **changes)
                await asyncio.sleep(0.02)
                record = await self.store.account_record("demo")
                performance = record.performance if record is not None else None
                if record is not None and performance is not None and performance.equity == Decimal(equity):
                    return record


@pytest.fixture
async def house(server: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    for name, seconds in {
        "PUBLISH_PAUSE_S": 0.02,
        "PUBLISH_EVERY_S": 0.2,
        "SAVE_EVERY_S": 0.0,
        "TRANSFERS_AWAY_S": 0.05,
        "CLOCK_EVERY_S": 0.02,
    }.items():
        monkeypatch.setattr(record_keeper, name, seconds)
    monkeypatch.setattr(record_store, "UNREADABLE_EVERY_S", 0.02)
    monkeypatch.setattr(transfer_reader, "PACE_S", 0.0)
    house = House(server, tmp_path)
    yield house
    await house.stop()
    await house.store.aclose()


async def losing(house: House) -> AccountRecord:
    """1,000, of which 40 are lost."""
    await house.start()
    await house.told("1000")
    return await house.told("960")


async def test_a_record_is_published_soon_after_a_document(house: House) -> None:
    record = await losing(house)
    assert record.performance is not None
    assert (record.performance.day_pnl, record.account) == (-40, "demo")
    assert int(await house.redis.hget(house.key, "version") or 0) >= record.version > 0


async def test_it_is_published_again_without_any_news(house: House) -> None:
    record = await losing(house)
    leg = Unprotected(symbol="BTCUSDT", position_side=PositionSide.BOTH, since=datetime.now(UTC))
    house.unprotected = (leg,)
    async with asyncio.timeout(20):
        while (later := await house.store.account_record("demo")) is None or later.unprotected != (leg,):
            await asyncio.sleep(0.02)
    assert later.version > record.version


async def test_nothing_is_published_before_a_document(house: House) -> None:
    keeper = await house.start()
    await until_async(lambda: keeper._memory is not None, "restored")
    await keeper.publish()
    assert (keeper.record, await house.store.account_record("demo")) == (None, None)


@pytest.mark.parametrize("lost", ["store", "file", "neither"])
async def test_a_restart_goes_on_where_the_last_one_ended(house: House, lost: str) -> None:
    before = await losing(house)
    file = house.data_dir / "records" / "demo.json"
    await until_async(lambda: file.exists(), "saved")
    await house.keeper.publish()
    await house.stop()
    if lost == "store":
        await house.redis.delete(house.key)
    elif lost == "file":
        file.unlink()
    await house.start()
    record = await house.told("950")
    assert record.performance is not None
    assert (record.performance.day_pnl, record.performance.equity_peak) == (-50, 1000)
    assert record.version > before.version
    assert file.stat().st_mode & 0o777 == 0o600


async def test_the_newer_of_store_and_disk_counts(house: House) -> None:
    await losing(house)
    file = house.data_dir / "records" / "demo.json"
    await house.stop()
    old = file.read_bytes()
    await house.start()
    await house.told("900")
    await house.keeper.publish()
    await house.stop()
    file.write_bytes(old)
    await house.start()
    record = await house.told("900")
    assert record.performance is not None
    assert record.performance.day_pnl == -100


async def test_no_version_is_given_twice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is saved once and published often; the warden that follows goes on above the last one published."""
    monkeypatch.setattr(record_keeper, "SAVE_EVERY_S", 1000.0)
    await losing(house)
    for _ in range(5):
        await house.keeper.publish()
    await house.stop()
    last = await house.store.account_record("demo")
    assert last is not None
    await house.start()
    record = await house.told("1000")
    assert record.version > last.version


async def test_a_record_begins_above_what_was_forgotten_of_another_guards_account(house: House) -> None:
    await house.redis.hset(house.key, "above", "40")
    await house.start()
    assert (await house.told("1000")).version > 40


async def test_a_record_of_another_version_is_none(house: House) -> None:
    for body in ("{torn", '{"account": 7}'):
        await house.redis.hset(house.key, mapping={"version": "3", "body": body})
        assert await house.store.account_record("demo") is None
    assert await house.store.record_memory("demo") == (3, None)


async def unknown(house: House, caplog: pytest.LogCaptureFixture, said: str) -> None:
    """Nothing is remembered and nothing published, however many documents come, and it is said once."""
    await house.start()
    await until_async(lambda: said in caplog.text, "said")
    for _ in range(5):
        house.document("500")
        await asyncio.sleep(0.02)
    assert (house.keeper.record, await house.store.account_record("demo")) == (None, None)
    assert caplog.text.count("cannot be read") == 1


@pytest.mark.parametrize(
    ("file", "said"), [(b"{torn", "DecodeError"), (b'{"account": 7}', "ValidationError"), (None, "Is a directory")]
)
async def test_what_cannot_be_read_is_not_taken_for_nothing(
    house: House, caplog: pytest.LogCaptureFixture, file: bytes | None, said: str
) -> None:
    path = house.data_dir / "records" / "demo.json"
    path.parent.mkdir()
    if file is None:
        path.mkdir()
    else:
        path.write_bytes(file)
    await unknown(house, caplog, f"what was remembered of demo cannot be read: demo.json: {said}")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"version": "3", "memory": "{torn"}, "the store: DecodeError"),
        ({"version": "3"}, "the store has a record and not what it was worked out from"),
    ],
)
async def test_a_store_s_memory_that_cannot_be_read_is_not_taken_for_nothing(
    house: House, caplog: pytest.LogCaptureFixture, fields: dict[str, str], said: str
) -> None:
    await house.redis.hset(house.key, mapping=fields)
    await unknown(house, caplog, said)


async def test_once_it_can_be_read_it_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await losing(house)
    file = house.data_dir / "records" / "demo.json"
    monkeypatch.setattr(record_keeper, "SAVE_EVERY_S", 1000.0)
    await house.told("970")  # By now nothing is being saved any more.
    await house.stop()
    good = file.read_bytes()
    file.write_bytes(b"{torn")
    await house.redis.delete(house.key)
    await unknown(house, caplog, "what was remembered of demo cannot be read")
    file.write_bytes(good)
    record = await house.told("950")
    assert record.performance is not None
    assert (record.performance.day_pnl, record.performance.equity_peak) == (-50, 1000)


async def test_a_person_may_let_it_begin_anew(house: House, caplog: pytest.LogCaptureFixture) -> None:
    (house.data_dir / "records").mkdir()
    (house.data_dir / "records" / "demo.json").write_bytes(b"{torn")
    await unknown(house, caplog, "what was remembered of demo cannot be read")
    asked = house.data_dir / "records" / "demo.anew"
    asked.touch()
    record = await house.told("500")
    assert record.performance is not None
    assert record.performance.equity_peak == 500
    assert not asked.exists()
    assert "the record of demo begins anew, as demo.anew asked" in caplog.text


async def test_nothing_that_can_be_read_begins_anew(house: House) -> None:
    await losing(house)
    await house.keeper.publish()
    await house.stop()
    (house.data_dir / "records" / "demo.anew").touch()
    await house.start()
    record = await house.told("950")
    assert record.performance is not None
    assert record.performance.day_pnl == -50


async def test_a_disk_that_is_full_stops_no_record(house: House, caplog: pytest.LogCaptureFixture) -> None:
    (house.data_dir / "records").write_text("no directory")
    await losing(house)
    assert "the record of demo cannot be saved" in caplog.text


async def test_money_that_left_while_no_warden_was_there_is_no_loss(house: House) -> None:
    await losing(house)
    await house.keeper.publish()
    await house.stop()
    house.venue.rows = [a_row("-480")]
    await house.start()
    record = await house.told("480")
    assert record.performance is not None
    assert (record.performance.day_pnl, record.performance.equity_peak) == (-40, 500)


@pytest.mark.parametrize("trouble", [VenueUnavailable("no answer"), VenueThrottled(429, 0.05)])
async def test_behind_a_gap_nothing_counts_before_the_transfers_are_read(house: House, trouble: Exception) -> None:
    await losing(house)
    house.document("960", feed_stale=True)
    house.venue.trouble = [trouble]
    asked = len(house.venue.asked)
    for _ in range(3):
        house.document("900")
    assert house.keeper.record is not None
    assert house.keeper.record.performance is not None
    assert house.keeper.record.performance.equity == 960
    await until_async(lambda: len(house.venue.asked) >= asked + 2, "asked until there is an answer")
    await house.told("900")


async def test_a_list_that_could_not_be_read_for_long_is_a_gap(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await losing(house)
    house.venue.trouble = [VenueUnavailable("no answer")] * 3
    monkeypatch.setattr(record_keeper, "TRANSFERS_AGE_MAX_S", -1.0)
    house.document("480")
    house.document("480")
    monkeypatch.setattr(record_keeper, "TRANSFERS_AGE_MAX_S", 900.0)
    house.venue.rows = [a_row("-480")]
    record = await house.told("480")
    assert record.performance is not None
    assert (record.performance.day_pnl, record.performance.equity_peak) == (-40, 500)


async def test_a_transfer_that_is_listed_late_leaves_no_drawdown(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_keeper, "TRANSFERS_EVERY_S", 0.05)
    await losing(house)
    at_ms = now_ms()
    record = await house.told("480")
    assert record.performance is not None
    assert (record.performance.day_pnl, record.performance.equity_peak) == (-520, 1000)
    house.venue.rows = [a_row("-480", at_ms=at_ms)]
    async with asyncio.timeout(20):
        while record.performance is None or record.performance.day_pnl != -40:
            await asyncio.sleep(0.02)
            record = await house.told("480")
    assert record.performance.equity_peak == 500


async def test_a_balance_that_jumps_is_looked_up_before_it_is_believed(house: House) -> None:
    await losing(house)
    house.venue.rows = [a_row("-480")]
    asked = len(house.venue.asked)
    house.document("955")
    await asyncio.sleep(0.1)
    assert len(house.venue.asked) == asked, "as markets move it"
    house.document("475")
    await until_async(lambda: len(house.venue.asked) > asked, "the list is read")
    record = await house.told("475")
    assert record.performance is not None
    assert (record.performance.day_pnl, record.performance.equity_peak) == (-45, 500)


async def test_a_leg_without_its_stop_is_published_though_nothing_counts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_keeper, "PUBLISH_EVERY_S", 1000.0)
    await losing(house)
    house.unprotected = (Unprotected(symbol="BTCUSDT", position_side=PositionSide.BOTH, since=datetime.now(UTC)),)
    house.document("960", feed_stale=True)
    async with asyncio.timeout(20):
        while (record := await house.store.account_record("demo")) is None or record.unprotected != house.unprotected:
            await asyncio.sleep(0.02)


async def test_rows_are_of_the_venue_s_time(house: House) -> None:
    """An hour ahead of ours, and not known at first: nothing counts before it is."""
    house.ahead_ms = None
    await house.start()
    house.document("1000")
    await asyncio.sleep(0.1)
    assert house.keeper.record is None
    house.ahead_ms = 3_600_000
    await house.told("1000")
    house.document("1000", feed_stale=True)
    house.venue.rows = [a_row("-600", at_ms=now_ms() + 3_600_000)]
    record = await house.told("400")
    assert record.performance is not None
    assert (record.performance.day_pnl, record.performance.equity_peak) == (0, 400)
    assert now_ms() + 3_000_000 - house.venue.asked[-1] < 60_000


@pytest.mark.parametrize("asset", ["BTC", "USDC", "XYZ"])
async def test_in_single_asset_mode_only_one_asset_is_in_the_balance(
    house: House, caplog: pytest.LogCaptureFixture, asset: str
) -> None:
    await house.start()
    await house.shown("1000", "1000", multi_assets=False)
    event = replace(an_account_event("DEPOSIT", change="5"), at_ms=now_ms())
    (balance,) = event.balances
    house.keeper.heard(replace(event, balances=(replace(balance, asset=asset),)))
    record = await house.shown("990", "990", multi_assets=False)
    assert record.performance is not None
    assert (record.performance.day_pnl, record.performance.equity_peak) == (-10, 1000)
    assert "not counted" not in caplog.text


async def test_the_asset_mode_is_remembered_across_a_restart(house: House) -> None:
    await house.start()
    await house.shown("1000", "1000", multi_assets=False)
    await house.keeper.publish()
    await house.stop()
    await house.start()
    await until_async(lambda: house.keeper._memory is not None, "restored")
    event = replace(an_account_event("DEPOSIT", change="5"), at_ms=now_ms())
    house.keeper.heard(replace(event, balances=(replace(event.balances[0], asset="BTC"),)))
    assert house.keeper.record is not None and house.keeper.record.performance is not None
    assert house.keeper.record.performance.equity == 1000


async def test_a_record_is_worked_out_once_a_publication(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await losing(house)
    await house.stop()
    real, built = memories.record_of, []
    monkeypatch.setattr(memories, "record_of", lambda *given: built.append(given) or real(*given))
    await house.keeper.publish()
    assert len(built) == 1


async def test_a_transfer_the_stream_tells_is_no_loss(house: House) -> None:
    await losing(house)
    at_ms = int(datetime.now(UTC).timestamp() * 1000)
    house.keeper.heard(replace(an_account_event("DEPOSIT", change="960"), at_ms=at_ms))
    record = await house.told("1920")
    assert record.performance is not None
    assert (record.performance.day_pnl, record.performance.equity_peak) == (-40, 2000)


async def test_fills_and_conditional_orders_are_their_bot_s(house: House) -> None:
    await losing(house)
    at_ms = int(datetime.now(UTC).timestamp() * 1000)
    fill = a_fill("ann/1", Side.BUY, "1", at_ms=at_ms, trade_id=5)
    house.keeper.heard(fill)
    house.keeper.heard(fill)
    house.keeper.heard(a_fill("nobody", Side.BUY, "1", at_ms=at_ms, trade_id=6))
    house.keeper.heard(an_algo_event("ben/1", at_ms=at_ms, actual_order_id="77"))
    house.keeper.heard(a_fill("venue's", Side.SELL, "1", at_ms=at_ms, trade_id=7, order_id="77"))
    record = house.keeper.record
    assert record is not None
    assert [(each.bot, each.fills) for each in record.bots] == [("ann", 1), ("ben", 1)]
    assert record.bots[1].holdings[0].conditional_proven


async def test_two_bots_that_trade_with_each_other_have_filled_once_each(house: House) -> None:
    """Both executions bear the one trade id."""
    await losing(house)
    told = {"at_ms": int(datetime.now(UTC).timestamp() * 1000), "trade_id": 77}
    for fill in (
        a_fill("ann/1", Side.BUY, "1", order_id="1", **told),
        a_fill("ben/1", Side.SELL, "1", order_id="2", **told),
    ):
        house.keeper.heard(fill)
        house.keeper.heard(fill)
    record = house.keeper.record
    assert record is not None
    assert [(each.bot, each.fills) for each in record.bots] == [("ann", 1), ("ben", 1)]


async def test_decisions_count_once_and_also_those_that_came_early(house: House) -> None:
    def a_decision(decision_id: str, **changes: Any) -> dict[str, Any]:
        return {
            "kind": "decision",
            "id": decision_id,
            "account": "demo",
            "bot": "ann",
            "at": datetime.now(UTC).isoformat(),
            "commands": [{"type": "PlaceOrder", "symbol": "BTCUSDT"}],
            "decisions": [{"verdict": "ALLOW", "breaches": []}],
        } | changes

    keeper = await house.start()
    keeper.hear([a_decision("early")])
    await until_async(lambda: keeper._memory is not None, "restored")
    keeper.hear((a_decision("1"), a_decision("1"), a_decision("2", account="other"), a_decision("3", kind="intent")))
    found = await house.told("1000", a_share("ann"))
    assert [(each.bot, each.orders) for each in found.bots] == [("ann", 2)]


async def test_decisions_are_neither_forgotten_nor_counted_twice_over_a_crash(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was archived and told after the last save is in no memory; what is told again is in it already."""
    monkeypatch.setattr(record_keeper, "SAVE_EVERY_S", 1000.0)
    at = datetime.now(UTC)

    def a_decision(decision_id: str, seconds: int) -> dict[str, Any]:
        return {
            "kind": "decision",
            "id": decision_id,
            "account": "demo",
            "bot": "ann",
            "at": (at + timedelta(seconds=seconds)).isoformat(),
            "commands": [{"type": "PlaceOrder", "symbol": "BTCUSDT"}],
            "decisions": [{"verdict": "ALLOW", "breaches": []}],
        }

    keeper = await house.start()
    await until_async(lambda: keeper._memory is not None, "restored")
    keeper.hear([a_decision("saved", 0)])
    await house.told("1000")
    with Archive.open(archive_place(house.data_dir), SIGNER, keys=TRUSTED) as archive:
        archive.append_from("stream", "1-0", [a_decision("saved", 0), a_decision("not saved", 1)])
        archive.append_from("stream", "2-0", [a_decision("of another", 2) | {"account": "other"}])
    keeper.hear([a_decision("not saved", 1)])
    await house.stop()
    keeper = await house.start()
    await until_async(lambda: keeper._memory is not None, "restored")
    keeper.hear([a_decision("not saved", 1)])
    keeper.hear([a_decision("new", 2)])
    async with asyncio.timeout(20):  # What the life before published is in the store until this one publishes.
        while [(each.bot, each.orders) for each in (await house.told("1000")).bots] != [("ann", 3)]:
            pass


async def test_what_was_heard_while_the_archive_took_nothing_counts_once_over_a_restart(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream tells all of it again, and that is more than is known by name."""
    monkeypatch.setattr(memories, "DECISIONS_MAX", 10)
    began = datetime.now(UTC)

    def decided(*numbers: int, bot: str) -> list[dict[str, Any]]:
        return [
            {
                "kind": "decision",
                "id": f"{bot} {number}",
                "account": "demo",
                "bot": bot,
                "at": (began + timedelta(microseconds=number)).isoformat(),
                "commands": [{"type": "PlaceOrder", "symbol": "BTCUSDT"}],
                "decisions": [{"verdict": "ALLOW", "breaches": []}],
            }
            for number in numbers
        ]

    async def hear(records: Sequence[Mapping[str, Any]]) -> None:
        house.keeper.hear(records)

    def orders() -> dict[str, int]:
        return {each.bot: each.orders for each in house.keeper.record.bots} if house.keeper.record else {}

    async def while_it_scribes(disk: FullDisk, told: dict[str, int]) -> None:
        scribe = a_scribe(house.store)
        scribe._archive = cast(Archive, disk)
        loops = [asyncio.create_task(loop) for loop in (scribe.drain(hear), scribe.hear_on(hear))]
        await until_async(lambda: orders() == told and len(disk.kept) in (0, sum(told.values())), "heard")
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    disk = FullDisk()
    await house.start()
    await house.told("1000")
    await house.store.record([*decided(*range(50), bot="ann"), *decided(7, bot="ben")])
    await while_it_scribes(disk, {"ann": 50, "ben": 1})
    await house.keeper.publish()
    await house.stop()
    # Ben is heard less often than ann: his is earlier than her last that was heard, and new all the same.
    await house.store.record([*decided(8, bot="ben"), *decided(60, 61, bot="ann")])
    await house.start()
    await house.told("1000")
    disk.room = True
    await while_it_scribes(disk, {"ann": 52, "ben": 2})


async def test_what_is_told_again_before_the_memory_is_there_counts_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive has taken it by then, and more, and the stream told all of it while the memory could not be read."""
    monkeypatch.setattr(memories, "DECISIONS_MAX", 10)
    began, passed = datetime.now(UTC), Desk().decision(1) | {"account": "demo", "bot": "ann"}
    told = [
        passed | {"id": f"{number}", "at": (began + timedelta(microseconds=number)).isoformat()} for number in range(60)
    ]
    await house.start()
    await house.told("1000")
    house.keeper.hear(told[:50])
    await house.keeper.publish()
    await house.stop()
    with Archive.open(archive_place(house.data_dir), SIGNER, keys=TRUSTED) as archive:
        archive.append_from("stream", "1-0", told)
    keeper = await house.start()
    keeper.hear(told)
    found = await house.told("1000")
    async with asyncio.timeout(20):
        while [(each.bot, each.orders) for each in found.bots] != [("ann", 60)]:
            assert all(each.orders <= 60 for each in found.bots)
            found = await house.told("1000")


async def test_an_archive_that_cannot_be_read_costs_no_record(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await losing(house)
    house.keeper.hear(
        [
            {"kind": "decision", "id": "1", "account": "demo", "bot": "ann", "at": datetime.now(UTC).isoformat()},
        ]
    )
    await house.keeper.publish()
    archive_place(house.data_dir).directory.mkdir()
    archive_place(house.data_dir).database.write_bytes(b"no archive" * 100)
    await losing(house)
    assert "the last decisions on demo cannot be looked up" in caplog.text


async def test_what_nobody_can_value_is_said(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await losing(house)
    at_ms = int(datetime.now(UTC).timestamp() * 1000)
    event = an_account_event("DEPOSIT", change="5")
    (balance,) = event.balances
    for asset in ("XYZ", "BTC"):
        house.keeper.heard(replace(event, at_ms=at_ms, balances=(replace(balance, asset=asset),)))
    assert house.keeper.record is not None
    assert house.keeper.record.performance is not None
    assert house.keeper.record.performance.equity == 960 + 500
    assert "a transfer of 5 XYZ of demo is not counted" in caplog.text


async def test_a_store_that_is_away_is_waited_for(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await losing(house)
    real, house.keeper._store = house.keeper._store, WardenStore("unix:///nowhere.sock", "desk")
    house.document("900")
    house.document("900")
    await until_async(lambda: "the record of demo cannot be published" in caplog.text, "said")
    await house.keeper._store.aclose()
    house.keeper._store = real
    await house.told("900")
