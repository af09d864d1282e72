"""`perpguard kill` stops first and asks later, and says exactly what it did not do."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.kill.commands import FLAT, NOT_STARTED, add_arguments, run
from proxy.settings import Settings, VenueSettings
from proxy.store.fence import DESK, Fence, Scope
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault
from tests.proxy.kill.practice_exchange import ROOT, SECRET, api_key, practice_exchange

PASSPHRASE = "correct horse battery"
NO_URLS = SimpleNamespace(venue_urls={})


def press(data_dir: Path, *words: str, settings: object = NO_URLS) -> tuple[int, str, str]:
    parser = argparse.ArgumentParser()
    add_arguments(parser.add_subparsers())
    args = parser.parse_args(["kill", "--reason", "test", "--by", "ann", *words])
    args.data_dir, args.settings = data_dir, settings
    stdout, stderr = io.StringIO(), io.StringIO()
    return run(args, stdout, stderr), stdout.getvalue(), stderr.getvalue()


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PERPGUARD_PASSPHRASE", "PERPGUARD_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    Fence.initialise(tmp_path)
    return tmp_path


def a_vault(data_dir: Path, monkeypatch: pytest.MonkeyPatch, *accounts: str) -> None:
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", PASSPHRASE)
    vault = Vault.create(data_dir / "vault" / "vault.json", Secret(PASSPHRASE), work_factor=2**14)
    for account in accounts:
        now = datetime.now(UTC)
        vault.add_exchange_key(
            account=account, venue="binanceusdm", api_key=api_key(account), api_secret=Secret(SECRET), now=now
        )


def test_without_a_passphrase_entries_are_stopped_and_the_rest_is_named(data_dir: Path):
    code, stdout, stderr = press(data_dir, "--json")
    assert code == NOT_STARTED
    assert Fence(data_dir).scopes() == {DESK}
    answer = json.loads(stdout)
    assert answer["flat"] is False
    assert "stopped on this machine" in answer["done"] and "no position was closed" in answer["not_done"]
    assert "NOT DONE" in stderr and "passphrase" in stderr


def test_an_account_the_vault_does_not_know_is_stopped_all_the_same(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    a_vault(data_dir, monkeypatch, "main")
    code, _, stderr = press(data_dir, "--account", "ghost")
    assert code == NOT_STARTED and "no such account" in stderr
    assert Fence(data_dir).scopes() == {Scope("ghost")}


def test_settings_that_fail_are_not_asked_before_the_sentinel_stands(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    class Broken:
        @property
        def venue_urls(self) -> dict[str, str]:
            assert Fence(data_dir).engaged("main")
            return {}

    a_vault(data_dir, monkeypatch, "main")
    code, _, stderr = press(data_dir, settings=Broken())
    assert code == NOT_STARTED and "no base URL" in stderr


def test_an_impossible_name_says_that_nothing_was_stopped(data_dir: Path):
    code, _, stderr = press(data_dir, "--account", "../x")
    assert code == 2 and "NOTHING" in stderr
    assert Fence(data_dir).scopes() == frozenset()


def test_the_sentinel_needs_no_heavy_import():
    heavy = "{'ccxt', 'cryptography', 'redis', 'msgspec', 'aiohttp', 'asyncio', 'tenacity', 'pydantic'}"
    code = f"import sys, proxy.kill.commands; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


async def test_the_whole_desk_is_made_flat_from_the_command_line(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    async with practice_exchange("main", "second") as exchange:
        await asyncio.gather(exchange.populate("main"), exchange.populate("second", hedged=True))
        a_vault(data_dir, monkeypatch, "main", "second")
        settings = Settings(venues={"binanceusdm": VenueSettings(url=exchange.base_url)})
        code, stdout, stderr = await asyncio.to_thread(press, data_dir, "--json", settings=settings)
        assert code == FLAT
        report = json.loads(stdout)
        assert report["flat"] and [each["phase"] for each in report["accounts"]] == ["FLAT", "FLAT"]
        assert await exchange.flat("main") and await exchange.flat("second")
        assert [each["phase"] for each in report["certificates"]["certificates"]] == ["FLAT"] * 3
        assert report["certificates"]["troubles"] == []
        assert len(list((data_dir / "certificates").glob("*.json"))) == 3, "one an account, one that binds them"
        assert SECRET not in stdout + stderr and "Surveyed" in stderr
