"""Kills over real sockets against the practice exchange, also when the killing process is itself killed at any step."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.kill.hands import VenueHands
from proxy.kill.jobs import unfinished_jobs
from proxy.kill.report import AccountReport
from proxy.store.fence import DESK, Fence, Scope
from tests.proxy.kill.practice_exchange import ROOT, PracticeExchange, practice_exchange
from tests.support.kills import kill

# Head, press, keys, survey, five cancel lines, survey, two rounds of closes with the positions after each, survey,
# tally and cost, and twice a wait with a survey: the 36th ends the job.
LINES = 35
# Two of three are left to the full tests: a process a line is dear, and every await is tried in virtual time.
STRIDES = [pytest.param(3, id="third"), pytest.param(1, id="every", marks=pytest.mark.full)]


async def _press(data_dir: Path, exchange: PracticeExchange, account: str = "main") -> AccountReport:
    hands = VenueHands(exchange.hands(account))
    try:
        return (await kill(data_dir, Scope(account), [hands], "ann", "end to end")).accounts[0]
    finally:
        await hands.aclose()


async def _subprocess(
    data_dir: Path, exchange: PracticeExchange, account: str, hold_after: int = 0
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.proxy.kill.press", str(data_dir), exchange.base_url, account, str(hold_after),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


def _lines(data_dir: Path, account: str) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (data_dir / "kill" / "jobs" / account).glob("*.jsonl"))


async def test_kills_go_through_faults_and_may_be_joined_and_taken_over(tmp_path: Path):
    # Side by side, because each of them takes six real seconds of calm.
    await asyncio.gather(_kills_through_faults(tmp_path), _joined_and_taken_over(tmp_path))


async def _kills_through_faults(tmp_path: Path) -> None:
    faults: dict[str, dict[str, Any]] = {
        "lost": {"drop_reply": 1, "unknown_503": 1, "unknown_503_execution": "never"},
        "late": {"unknown_503": 2, "unknown_503_execution": "late", "late_ms": 1500},
        "slow": {"latency_ms": 100, "reject_429": 2, "retry_after_s": 1},
    }

    async def one(name: str) -> None:
        async with practice_exchange() as exchange:
            await exchange.populate(hedged=name == "late")
            await exchange.control("POST", "faults", **faults[name])
            report = await _press(tmp_path / name, exchange)
            assert report.flat, (name, report)
            assert await exchange.flat()
            assert report.cancelled == 5, name
            assert len(report.closed) == (3 if name == "late" else 2)
            assert Fence(tmp_path / name).engaged("main")

    await asyncio.gather(*map(one, faults))


@pytest.mark.parametrize("hedged", [False, True])
async def test_a_reading_says_which_orders_can_open_nothing(hedged: bool) -> None:
    async with practice_exchange() as exchange:
        await exchange.populate(hedged=hedged)
        hands = VenueHands(exchange.hands())
        try:
            leg = {"positionSide": "LONG"} if hedged else {"reduceOnly": "true"}
            limit = {"type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "99000"}
            order = {"symbol": "BTCUSDT", "side": "SELL", **limit, **leg}
            placed = await hands._venue.calls.client.fapiPrivatePostOrder(order)
            reading = await hands.survey()
        finally:
            await hands.aclose()
        conditional = {order for order in reading.conditional_orders if order.symbol != "SOLUSDT"}
        (plain,) = (order for order in reading.plain_orders if order.order_id == str(placed["orderId"]))
        assert len(reading.conditional_orders) == len(reading.plain_orders) == 3
        assert reading.exits == {*conditional, plain}


@pytest.mark.parametrize("stride", STRIDES)
async def test_f15_kill_minus_nine_after_lines_of_the_journal_then_resumed(tmp_path: Path, stride: int):
    async with practice_exchange(*(f"a{number}" for number in range(1, LINES + 1))) as exchange:
        starting = asyncio.Semaphore(12)  # Few cores: the calm seconds overlap, the start-ups need not.

        async def one(number: int) -> None:
            account, data_dir = f"a{number}", tmp_path / str(number)
            async with starting:
                await exchange.populate(account, hedged=number % 2 == 0)
                process = await _subprocess(data_dir, exchange, account, hold_after=number)
                assert process.stdout is not None
                assert await process.stdout.readline() == b"holding\n"
                assert _lines(data_dir, account) == number
                process.kill()
                await process.communicate()
            left_over = unfinished_jobs(data_dir)
            assert [job.account for job in left_over] == [account], f"killed after line {number}"
            report = await _press(data_dir, exchange, account)
            assert report.flat and report.joined, f"killed after line {number}: {report}"
            assert await exchange.flat(account)
            assert unfinished_jobs(data_dir) == ()

        # The last lines first: they come after six calm seconds, in which the others start.
        await asyncio.gather(*(one(number) for number in range(LINES, 0, -stride)))


async def _joined_and_taken_over(tmp_path: Path) -> None:
    async with practice_exchange("joined", "widow") as exchange:
        await asyncio.gather(exchange.populate("joined"), exchange.populate("widow"))

        async def two_presses(account: str, *, kill_first: bool) -> tuple[Any, AccountReport]:
            data_dir = tmp_path / account
            first = await _subprocess(data_dir, exchange, account)
            while _lines(data_dir, account) < 3:
                await asyncio.sleep(0.001)
            second = asyncio.create_task(_press(data_dir, exchange, account))
            await asyncio.sleep(0.5)
            if kill_first:
                first.kill()
            output, _ = await first.communicate()
            return (json.loads(output) if output else None), await second

        (first, joined), (nobody, widow) = await asyncio.gather(
            two_presses("joined", kill_first=False), two_presses("widow", kill_first=True)
        )
        assert first["accounts"][0]["job_id"] == joined.job_id
        assert joined.joined and joined.flat
        assert nobody is None
        assert widow.flat and any("taken over" in step.what for step in widow.steps)
        assert await exchange.flat("joined") and await exchange.flat("widow")


async def test_an_exchange_out_of_reach_ends_degraded_not_in_an_error(tmp_path: Path):
    from rules.kill import machine

    hands = VenueHands(PracticeExchange("http://127.0.0.1:9").hands(timeout=0.2))
    short = machine.DEADLINE / 60
    try:
        import proxy.kill.runner as runner

        original, runner.DEADLINE = runner.DEADLINE, short
        report = await kill(tmp_path, DESK, [hands], "ann", "nobody there")
    finally:
        runner.DEADLINE = original
        await hands.aclose()
    assert report.phase is machine.Phase.DEGRADED
    assert report.accounts[0].left == ("unknown: the venue could not be read",)
