"""What was ordered before a restart is measured after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.audit.commands import archive_path
from proxy.measures import remember_symbols
from proxy.signals.attention import Attention
from tests.proxy.audit.conftest import Desk

VENUE = "binanceusdm"


def keepers(*accounts: str) -> Any:
    return {account: SimpleNamespace(venue=VENUE) for account in accounts}


async def remembered(data_dir: Path, accounts: Any, now: datetime) -> tuple[str, ...]:
    attention = Attention()
    conditions: Any = {VENUE: SimpleNamespace(attention=attention)}
    await remember_symbols(data_dir, accounts, conditions, now)
    return attention.symbols(now.timestamp(), held=())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    desk = Desk()
    desk.write(archive_path(tmp_path), desk.day())
    return tmp_path


async def test_the_symbols_of_the_last_day_are_remembered(data_dir: Path):
    assert await remembered(data_dir, keepers("main"), Desk.start + timedelta(hours=23)) == ("BTCUSDT",)


async def test_what_was_ordered_longer_ago_or_on_another_account_is_not(data_dir: Path):
    assert await remembered(data_dir, keepers("main"), Desk.start + timedelta(hours=25)) == ()
    assert await remembered(data_dir, keepers("other"), Desk.start + timedelta(hours=1)) == ()


async def test_an_archive_that_cannot_be_read_is_said_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    assert await remembered(tmp_path, keepers("main"), datetime(2026, 11, 24, tzinfo=UTC)) == ()
    assert "the symbols of the last day cannot be looked up" in caplog.text
