"""A host clock ten minutes off: the guard's own requests are accepted, bots are judged by the venue's clock."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.policies import a_policy
from tests.support.worlds import LiveWorld, until

SHIFTED = """
import sys, time
shift_ns, real = int(sys.argv.pop(1)), time.time_ns
time.time_ns = lambda: real() + shift_ns
from sandbox.cli import main
sys.exit(main(sys.argv[1:]))
"""


class ShiftedWorld(LiveWorld):
    """The practice exchange's wall clock is ``shift_s`` from everybody else's: to the guard, its own host is wrong."""

    def __init__(self, data_dir: Path, shift_s: int) -> None:
        super().__init__(data_dir, a_policy())
        self._shift_s = shift_s

    def _spawn(self, command: list[str], log: str) -> subprocess.Popen[str]:
        if "sandbox" in command:
            options = command[command.index("sandbox") + 1 :]
            command = [sys.executable, "-c", SHIFTED, str(self._shift_s * 10**9), *options]
        return super()._spawn(command, log)

    def venue_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._shift_s * 1000


@pytest.mark.parametrize("shift_s", [-600, 600])
def test_ten_minutes_off(tmp_path: Path, shift_s: int) -> None:
    with ShiftedWorld(tmp_path, shift_s) as world:
        until(lambda: world.account()["clock_offset_ms"] is not None, "the venue's clock was measured")
        assert abs(world.account()["clock_offset_ms"] - shift_s * 1000) < 1000

        def placed() -> bool:
            # For the fraction of a second before the gate has read the offset, the bot's right stamp looks wrong.
            answer = world.bot.order("BTCUSDT", "BUY", "0.002", timestamp=world.venue_ms())
            return answer.status_code == 200

        until(placed, "a bot with the venue's time trades, on requests the guard stamped itself")
        skewed = world.bot.order("BTCUSDT", "BUY", "0.002")
        assert (skewed.status_code, skewed.json()["code"]) == (400, -1021), (
            "the bot's clock is the host's: the venue's own error"
        )
        world.wait_until_settled()
        assert world.account()["positions"], "the survey reads with the right time, too"
        assert "ERROR perpguard.accounts the clock of binanceusdm is" in world.guard_log()
        said = until(lambda: [each for each in world.export() if each.get("what") == "clock"], "it is in the audit")
        assert said[0]["detail"]["ok"] is False
