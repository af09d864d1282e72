"""The ledger of a real session: two bots' fills, funding, a transfer, a liquidation; to the last digit the venue's."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from proxy.practice.world import ACCOUNT
from tests.e2e.test_funding import FundingWorld
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import until

BTC, ETH, SOL = "BTCUSDT", "ETHUSDT", "SOLUSDT"


class LedgerWorld(FundingWorld):
    """A funding world whose ledger is asked on the command line, and held against the exchange's own lists."""

    def reconciled(self) -> dict[str, Any] | None:
        """The reconciliation, once the ledger has everything that the exchange has."""
        done = self.command("ledger", "reconcile", "--json")
        if done.returncode != 0:
            return None
        (found,) = json.loads(done.stdout)
        return found if found["compared"] == self.compared() else None

    def compared(self) -> int:
        """How many trades and fundings there are to compare."""
        trades: int = len(self.trades())
        fundings: int = sum(row["incomeType"] == "FUNDING_FEE" for row in self.listed("income"))
        return trades + fundings

    def listed(self, what: str, **asked: Any) -> list[dict[str, Any]]:
        told = self.direct.send("GET", f"/fapi/v1/{what}", limit=1000, **asked).raise_for_status()
        rows: list[dict[str, Any]] = told.json()
        return rows

    def trades(self) -> list[dict[str, Any]]:
        return [row for symbol in (BTC, ETH, SOL) for row in self.listed("userTrades", symbol=symbol)]

    def summed(self, kind: str) -> Decimal:
        return sum((Decimal(row["income"]) for row in self.listed("income", incomeType=kind)), Decimal(0))

    def table(self, *words: str) -> list[dict[str, str]]:
        done = self.command("export", *words)
        assert done.returncode == 0, done.stderr
        return list(csv.DictReader(io.StringIO(done.stdout, newline="")))

    def attributed(self) -> bool:
        """Whether it is known who sent the order of every fill: without its event, the exchange is asked for it."""
        return "unknown" not in {row["origin"] for row in self.table("fills")}

    def order(self, bot: str, symbol: str, side: str, quantity: str, price: str | None = None, **more: str) -> None:
        answer = self.bot_named(bot).order(symbol, side, quantity, price, **more)
        assert answer.is_success, answer.text

    def sandbox(self, door: str, **body: Any) -> None:
        httpx.post(f"{self.places.exchange}/sandbox/{door}", json=body, trust_env=False, timeout=60).raise_for_status()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerWorld]:
    policy = a_policy(a_rule("account.demo.own_share"))
    directory = tmp_path_factory.mktemp("ledger") / "data"
    with LedgerWorld(directory, policy, balance=100_000, bots=("ada", "bob")) as running:
        for bot, symbol, quantity in (("ada", BTC, "0.123"), ("bob", BTC, "0.3"), ("bob", ETH, "2.5")):
            running.order(bot, symbol, "BUY", quantity)
        until(lambda: running.bot_named("bob").positions().get(ETH) == 2.5, "the orders are filled", 60)
        yield running


def test_a_session_reconciles_to_the_last_digit(world: LedgerWorld, tmp_path: Path) -> None:
    world.order("ada", BTC, "SELL", "0.023", reduceOnly="true")
    world.sandbox("transfer", account=ACCOUNT, amount="-123.45678901")
    world.jump(0.3)
    assert until(world.reconciled, "the ledger is the exchange's statement", 90, every_s=1)["differing"] == 0
    until(world.attributed, "the events of the orders are written down", 90, every_s=1)

    fills = world.table("fills")
    assert {(row["bot"], row["symbol"]) for row in fills} == {("ada", BTC), ("bob", BTC), ("bob", ETH)}
    assert {(row["origin"]) for row in fills} == {"bot"}
    assert sorted(row["trade_id"] for row in fills) == sorted(str(row["id"]) for row in world.trades())
    assert sum(Decimal(row["realised_pnl"]) for row in fills) == world.summed("REALIZED_PNL")
    assert sum(Decimal(row["fee"]) for row in world.table("fees")) == world.summed("COMMISSION")
    assert sum(Decimal(row["amount"]) for row in world.table("funding")) == world.summed("FUNDING_FEE")
    assert {row["bot"] for row in world.table("funding", "--symbol", BTC)} == {"ada", "bob"}
    assert [row["amount"] for row in world.table("other")] == ["-123.45678901"]

    path = tmp_path / "fills.parquet"
    assert world.command("export", "fills", "--output", str(path)).returncode == 0
    opened = pl.read_parquet(path)
    assert opened["trade_id"].to_list() == [int(row["trade_id"]) for row in fills]
    assert opened["fee"].to_list() == [Decimal(row["fee"]) for row in fills]


@pytest.mark.full
def test_what_came_while_no_warden_was_there_is_read_afterwards(world: LedgerWorld) -> None:
    """A resting order fills and the account is liquidated, with nobody to see it."""
    world.order("bob", ETH, "SELL", "0.5", "3100", reduceOnly="true")
    warden = world.process("warden")
    os.kill(warden, signal.SIGSTOP)
    before = len(world.trades())
    world.sandbox("price", symbol=ETH, price="3200")
    world.jump(0.01)
    world.sandbox("position", account=ACCOUNT, symbol=SOL, quantity="10000", price="150", leverage=20)
    world.sandbox("price", symbol=SOL, price="130")
    world.jump(0.01)
    assert len(world.trades()) > before
    os.kill(warden, signal.SIGKILL)
    until(lambda: world.processes("warden") not in ([], [warden]) and world.answers(), "the warden is back", 60)
    found = until(world.reconciled, "the gap is read", 90, every_s=1)
    assert (found["standing"], found["coverage"]["missing"]) == ("reconciled", [])
    until(world.attributed, "the orders of the fills are asked for", 90, every_s=1)
    assert "liquidation" in {row["origin"] for row in world.table("fills")}
    assert {row["bot"] for row in world.table("fills", "--symbol", ETH) if row["side"] == "SELL"} >= {"bob"}
    for kind, table, column in (
        ("REALIZED_PNL", "fills", "realised_pnl"),
        ("COMMISSION", "fees", "fee"),
        ("FUNDING_FEE", "funding", "amount"),
    ):
        assert sum(Decimal(row[column]) for row in world.table(table)) == world.summed(kind)
