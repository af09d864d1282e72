"""What was ordered before a restart is measured after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.audit.commands import archive_path
from proxy.hearing import remember_symbols
from proxy.pieces.desk import DeskPieces
from proxy.signals.attention import Attention
from tests.proxy.audit.conftest import Desk


async def remembered(data_dir: Path, account: str, now: datetime) -> tuple[str, ...]:
    attention = Attention()
    pieces: Any = {account: SimpleNamespace(keeper=SimpleNamespace(venue="binanceusdm"))}
    venues: Any = {"binanceusdm": SimpleNamespace(conditions=SimpleNamespace(attention=attention))}
    nobody: Any = None
    desk = DeskPieces(venues=venues, accounts=pieces, kill=nobody, stops=nobody, overrides=nobody, watch=nobody)
    await remember_symbols(data_dir, desk, now)
    return attention.symbols(now.timestamp(), held=())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    desk = Desk()
    desk.write(archive_path(tmp_path), desk.day())
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
