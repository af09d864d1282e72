"""``perpguard demo --once --json``, as a trader runs it first: it ends with 0, and every word of its JSON is true."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.worlds import until

RULES = {"max_order_value", "max_leverage", "reduce_only_exits", "correlated_exposure"}


def test_the_demo_tells_a_true_story() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "demo", "--once", "--json"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    story = json.loads(done.stdout)
    assert set(story) == {"orders_sent", "orders_blocked", "kill", "audit"}
    assert story["orders_sent"] > 0

    blocked = story["orders_blocked"]
    assert {each["rule"] for each in blocked} >= RULES
    assert all(each["code"] for each in blocked)
    assert any(float(each["headroom"]) > 0 for each in blocked if each["headroom"] is not None)

    kill = story["kill"]
    assert (kill["flat"], kill["read_backs"]) == (True, 3)
    assert kill["cancelled"] >= 2
    assert 0 <= kill["blocked_ms"] < 1_000
    assert 0 < kill["flat_ms"] < 60_000

    audit = story["audit"]
    assert audit["records"] > story["orders_sent"] + len(blocked)
    assert (audit["chain_ok"], audit["replay_agrees"], audit["blocked_listed"]) == (True, True, True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "proxy", "demo", "--once", "--json"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: bool(list(tmp_path.glob("perpguard-demo-*/guard.log"))), "the guard was started", 60)
        assert running(tmp_path)
        demo.send_signal(number)
        _, said = demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode == 128 + number
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())
    until(lambda: not running(tmp_path), "nothing of it runs any more", 10)


def running(directory: Path) -> list[str]:
    """Command lines of processes that name the directory."""
    lines = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if str(directory) in line]
