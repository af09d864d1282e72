"""Funding of two symbols that two bots hold, through a real guard: to each its part, in all what was booked."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from proxy.practice.world import ACCOUNT
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

BTC, ETH = "BTCUSDT", "ETHUSDT"
STEPS_PER_HOUR = 4 * 3600


class FundingWorld(LiveWorld):
    """A world whose exchange stands a quarter of an hour before its next funding, and jumps when told."""

    def _spawn(self, command: list[str], log: str) -> subprocess.Popen[str]:
        if "sandbox" in command:
            now = datetime.now(UTC)
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            funding = midnight + timedelta(hours=8 * (now.hour // 8 + 1))
            command = [*command, "--start-time", (funding - timedelta(minutes=15)).isoformat()]
        return super()._spawn(command, log)

    def jump(self, hours: float) -> None:
        """The exchange goes on by so much of its own time, at once."""
        with httpx.Client(base_url=f"{self.places.exchange}/sandbox", timeout=120, trust_env=False) as door:
            door.post("/step", json={"n": int(hours * STEPS_PER_HOUR)}).raise_for_status()

    def incomes(self) -> dict[str, Decimal]:
        """What the exchange has booked as funding, by symbol."""
        rows = self.direct.send("GET", "/fapi/v1/income", incomeType="FUNDING_FEE", limit=1000).raise_for_status()
        found: dict[str, Decimal] = {}
        for row in rows.json():
            found[row["symbol"]] = found.get(row["symbol"], Decimal(0)) + Decimal(row["income"])
        return found

    def shares(self) -> dict[tuple[str, str], Decimal]:
        """The funding in the newest account document of the audit, by bot and symbol."""
        documents = [record for record in self.export() if record.get("name") == f"account:{ACCOUNT}"]
        newest: dict[str, Any] = max(documents, key=lambda record: int(record["version"]))["content"]
        return {
            (share["bot"], share["symbol"]): Decimal(share["funding"])
            for share in newest["shares"]
            if Decimal(share["funding"])
        }

    def adds_up(self, fundings: int) -> bool:
        """Whether the guard's shares are the exchange's rows; there have been so many funding times."""
        booked, parts = self.incomes(), self.shares()
        sums: dict[str, Decimal] = {}
        for (_, symbol), amount in parts.items():
            sums[symbol] = sums.get(symbol, Decimal(0)) + amount
        return sums == booked and self.booked_times() == fundings

    def booked_times(self) -> int:
        rows = self.direct.send("GET", "/fapi/v1/income", incomeType="FUNDING_FEE", limit=1000).json()
        return len({row["time"] for row in rows})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FundingWorld]:
    policy = a_policy(a_rule("account.demo.own_share"))
    directory = tmp_path_factory.mktemp("funding") / "data"
    with FundingWorld(directory, policy, balance=100_000, bots=("ada", "bob")) as running:
        yield running


def test_funding_of_two_symbols_adds_up_to_the_exchanges_rows(world: FundingWorld) -> None:
    """Both hold BTC, 1 to 3; only bob holds ETH: the exchange's events name neither symbol."""
    for name, symbol, quantity in (("ada", BTC, "0.1"), ("bob", BTC, "0.3"), ("bob", ETH, "2")):
        world.bot_named(name).order(symbol, "BUY", quantity).raise_for_status()
    until(lambda: world.bot_named("bob").positions().get(ETH) == 2, "each has its share", 60)
    world.jump(0.3)
    assert world.incomes().keys() == {BTC, ETH}
    until(lambda: world.adds_up(1), "the rows are shared out", 60, every_s=1)
    parts = world.shares()
    assert parts.keys() == {("ada", BTC), ("bob", BTC), ("bob", ETH)}
    assert abs(parts["bob", BTC] - 3 * parts["ada", BTC]) < Decimal("1e-10")


def test_a_restarted_warden_counts_no_row_twice_and_none_that_came_meanwhile_never(world: FundingWorld) -> None:
    before = world.shares()
    warden = world.process("warden")
    os.kill(warden, signal.SIGSTOP)
    world.jump(8)
    os.kill(warden, signal.SIGKILL)
    until(lambda: world.processes("warden") not in ([], [warden]) and world.answers(), "the warden is back", 60)
    until(lambda: world.adds_up(2), "what came while no warden was there is shared out", 60, every_s=1)
    after = world.shares()
    assert after.keys() == before.keys()
    assert all(abs(after[key]) > abs(amount) for key, amount in before.items())


def test_what_came_while_the_stream_was_down_is_shared_out(world: FundingWorld) -> None:
    streams = f"{world.places.exchange}/sandbox/streams"
    httpx.post(streams, json={"refuse": True, "disconnect": True}, trust_env=False).raise_for_status()
    until(lambda: world.account()["feed"]["state"] == "STALE", "the feed is known to be down", 20)
    world.jump(8)
    httpx.post(streams, json={"refuse": False}, trust_env=False).raise_for_status()
    until(lambda: world.account()["feed"]["state"] == "LIVE", "the stream is back", 60)
    until(lambda: world.adds_up(3), "its funding is shared out", 60, every_s=1)
    assert "is not in the venue's list" not in world.guard_log()
