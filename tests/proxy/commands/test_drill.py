"""What `perpguard drill` reads the live accounts with."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import main
from proxy.commands.drill import _venue
from proxy.exchange import venue_account
from proxy.settings import Settings
from proxy.vault.keys import ExchangeKey, Secret


@pytest.mark.parametrize(("account", "address"), [("main", "127.0.0.7"), ("other", "")])
def test_an_account_is_read_by_its_own_address(monkeypatch: pytest.MonkeyPatch, account: str, address: str) -> None:
    """The exchange refuses a key from an address that is not in its list."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(venue_account.VenueAccount, "__init__", lambda self, **given: asked.update(given))
    accounts: Any = {"main": {"egress": "127.0.0.7"}}
    key = ExchangeKey(
        account=account,
        venue="binanceusdm",
        api_key="k" * 20,
        api_secret=Secret("s" * 20),
        created_at=datetime(2026, 11, 27, tzinfo=UTC),
    )
    _venue(argparse.Namespace(settings=Settings(accounts=accounts)), key)
    assert asked["addresses"] == (address,)


def test_where_none_was_held_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data-dir", str(tmp_path), "drill", "list"]) == 0
    assert capsys.readouterr().out == "there was no drill yet: perpguard drill --by NAME\n"
