"""What was ordered before a restart is measured after it, and a record is of its own moment."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.audit.place import archive_place
from proxy.hearing import Hearing, remember_symbols
from proxy.pieces.desk import DeskPieces
from proxy.signals.attention import SEEN_S, Attention
from tests.proxy.audit.conftest import Desk


async def remembered(data_dir: Path, account: str, now: datetime) -> tuple[str, ...]:
    attention = Attention()
    pieces: Any = {account: SimpleNamespace(keeper=SimpleNamespace(venue="binanceusdm"))}
    venues: Any = {"binanceusdm": SimpleNamespace(conditions=SimpleNamespace(attention=attention))}
    nobody: Any = None
    desk = DeskPieces(
        venues=venues,
        accounts=pieces,
        kill=nobody,
        pursuit=nobody,
        certificates=nobody,
        stops=nobody,
        rearming=nobody,
        line=nobody,
        sentinels=nobody,
        overrides=nobody,
        watch=nobody,
        heart=nobody,
        leases=nobody,
        scoreboard=nobody,
    )
    await remember_symbols(data_dir, desk, now)
    return attention.symbols(now.timestamp(), held=())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    desk = Desk()
    desk.write(archive_place(tmp_path), desk.day())
    return tmp_path


async def test_the_symbols_of_the_last_day_are_remembered(data_dir: Path):
    assert await remembered(data_dir, "main", Desk.start + timedelta(hours=23)) == ("BTCUSDT",)


async def test_what_was_ordered_longer_ago_or_on_another_account_is_not(data_dir: Path):
    assert await remembered(data_dir, "main", Desk.start + timedelta(hours=25)) == ()
    assert await remembered(data_dir, "other", Desk.start + timedelta(hours=1)) == ()


async def test_an_archive_that_cannot_be_read_is_said_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    assert await remembered(tmp_path, "main", datetime(2026, 11, 24, tzinfo=UTC)) == ()
    assert "the symbols of the last day cannot be looked up" in caplog.text


async def test_a_damaged_archive_is_said_and_stops_nothing(data_dir: Path, caplog: pytest.LogCaptureFixture):
    connection = sqlite3.connect(archive_place(data_dir).database)
    connection.execute("DROP TABLE judgements")
    connection.commit()
    connection.close()
    assert await remembered(data_dir, "main", Desk.start + timedelta(hours=1)) == ()
    assert "the symbols of the last day cannot be looked up" in caplog.text


class Deaf:
    """Everything that hears records, but for the symbols that matter."""

    def __init__(self) -> None:
        self.attention = Attention()
        self.conditions = self
        self.venue = "binanceusdm"
        self.keeper = self.outside = self.record = self.ledger = self.venue_timers = self
        self.on_their_way: list[str] = []
        self.expected: list[str | None] = []

    def hear(self, record: Any) -> None:
        """Nothing."""

    def expect(self, request: str, symbol: str | None) -> None:
        self.expected.append(symbol)

    def intended(self, symbol: str) -> None:
        self.on_their_way.append(symbol)

    async def see(self, records: Any) -> None:
        """Nothing."""


async def told(record: dict[str, Any]) -> Deaf:
    """What became of a record that was heard."""
    deaf: Any = Deaf()
    desk = DeskPieces(
        venues={"binanceusdm": deaf},
        accounts={"main": deaf},
        kill=deaf,
        pursuit=deaf,
        certificates=deaf,
        stops=deaf,
        rearming=deaf,
        line=deaf,
        sentinels=deaf,
        overrides=deaf,
        watch=deaf,
        heart=deaf,
        leases=deaf,
        scoreboard=deaf,
    )
    await Hearing(desk).hear([{"id": "1", "account": "main", **record}])
    heard: Deaf = deaf
    return heard


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ([{"type": "SetPositionMode", "hedged": True}], [None]),
        ([{"type": "PlaceOrder", "symbol": "BTCUSDT"}], ["BTCUSDT"]),
        ([{"type": "SetMultiAssetMode", "multi_assets": True}], []),
        ([None], []),
        ("none", []),
    ],
    ids=["position mode", "order", "of which the stream tells", "nothing", "no list"],
)
async def test_the_whole_account_is_looked_at_after_its_position_mode_was_set(
    commands: Any, expected: list[str | None]
):
    record = {"kind": "decision", "at": "2026-11-29T10:00:00+00:00", "commands": commands}
    assert (await told(record)).expected == expected


async def heard(at: object) -> Attention:
    """The attention after a decision of ``at`` was heard."""
    return (await told({"kind": "decision", "at": at, "commands": [{"symbol": "BTCUSDT"}]})).attention


@pytest.mark.parametrize(
    ("commands", "verdicts", "on_their_way"),
    [
        (["PlaceOrder", "PlaceOrder"], ["ALLOW", "DENY"], ["S0"]),
        (["AmendOrder", "CancelOrder"], ["ALLOW", "ALLOW"], ["S0"]),
        (["PlaceOrder"], None, []),
        ([None], ["ALLOW"], []),
    ],
)
async def test_an_order_that_was_let_through_is_on_its_way(
    commands: list[str | None], verdicts: list[str] | None, on_their_way: list[str]
) -> None:
    record = {
        "kind": "decision",
        "at": datetime.now(UTC).isoformat(),
        "commands": [name and {"type": name, "symbol": f"S{place}"} for place, name in enumerate(commands)],
        "decisions": verdicts and [{"verdict": verdict} for verdict in verdicts],
    }
    assert (await told(record)).on_their_way == on_their_way


async def test_a_symbol_was_ordered_when_its_record_says_and_not_when_a_backlog_is_read():
    then = datetime.now(UTC) - timedelta(hours=23)
    attention = await heard(then.isoformat())
    assert attention.symbols(then.timestamp() + SEEN_S - 1, held=()) == ("BTCUSDT",)
    assert attention.symbols(then.timestamp() + SEEN_S + 1, held=()) == ()


@pytest.mark.parametrize(
    "at",
    [None, "yesterday", 5, (datetime.now(UTC) + timedelta(days=400)).isoformat()],
    ids=["none", "words", "number", "to come"],
)
async def test_a_record_without_a_moment_or_of_one_to_come_is_of_now(at: object):
    attention = await heard(at)
    assert attention.symbols(time.time() + SEEN_S - 5, held=()) == ("BTCUSDT",)
    assert attention.symbols(time.time() + SEEN_S + 5, held=()) == ()
