"""``perpguard doctor``, ``status`` and ``reduce``: on a guard in order, on one set up badly, and where none is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from proxy.practice.world import ACCOUNT
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until


def told(world: LiveWorld, *arguments: str) -> tuple[int, Any, str]:
    """The exit code of a command, what it printed as JSON, and what it said beside."""
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "--data-dir", str(world.data_dir), *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**world.environment, "PERPGUARD_GATE_PORT": str(urlsplit(world.places.gate).port)},
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def found(world: LiveWorld, level: str) -> dict[str, str]:
    """What the doctor found at a level: by check, what it said."""
    _, said, _ = told(world, "doctor")
    return {each["check"]: f"{each['said']} | {each['mend']}" for each in said["findings"] if each["level"] == level}


def test_a_guard_in_order_is_well_and_what_stops_it_is_named(tmp_path: Path) -> None:
    with LiveWorld(tmp_path, a_policy(a_rule("desk.max_order_value", limit=50_000))) as world:
        until(lambda: world.account()["clock_offset_ms"] is not None, "the clock was measured")
        assert found(world, "fail") == {}
        well = found(world, "ok")
        assert {"gate", "store", "warden", "vault", f"key of {ACCOUNT}", f"policy for demo-bot on {ACCOUNT}"} <= set(
            well
        )
        assert {"drill", "watchdog"} <= set(found(world, "warn")) <= {"drill", "watchdog", "speed of the store"}

        code, status, _ = told(world, "status")
        assert (code, status["trading"], status["hindrances"]) == (0, True, [])

        code, done, _ = told(world, "reduce", "--by", "ann", "--reason", "the news at two")
        assert (code, done) == (0, {"scope": "desk", "reduced": [ACCOUNT]})
        assert "REDUCE_ONLY_STATE" in world.bot.order("BTCUSDT", "BUY", "0.002").text
        code, again, _ = told(world, "reduce", "--account", ACCOUNT, "--by", "ben", "--reason", "the news at two")
        assert (code, again["reduced"]) == (0, [])
        until(lambda: world.account()["state"] == "REDUCING", "the console says so")
        code, status, _ = told(world, "status")
        assert (code, status["hindrances"]) == (1, [f"account {ACCOUNT} is REDUCING"])
        assert f"account {ACCOUNT}" in found(world, "warn")
        event = until(
            lambda: [each for each in world.export() if each.get("what") == "reducing"], "the audit knows who reduced"
        )
        assert (event[0]["by"], event[0]["detail"]["reason"]) == ("ann", "the news at two")

        code, nothing, said = told(world, "reduce", "--account", "nobody", "--by", "ann", "--reason", "a mistake")
        assert (code, nothing) == (1, None) and "no such account" in said


def test_usual_mistakes_are_found_each_with_its_mending(tmp_path: Path) -> None:
    blocks = a_policy(a_rule("desk.max_order_value", limit=0.5))
    with LiveWorld(tmp_path, blocks, withdrawals=True) as world:
        (world.data_dir / "control.token").write_text("x" * 20)
        (world.data_dir / "control.token").chmod(0o644)
        wrong = found(world, "fail")
        assert "max_order_value" in wrong[f"policy for demo-bot on {ACCOUNT}"]
        assert "can withdraw" in wrong[f"rights of the key of {ACCOUNT}"]
        assert "chmod 600" in wrong["rights of control.token"]
        assert world.exchange_secret.reveal() not in str(wrong)


@pytest.mark.parametrize("command", ["doctor", "status"])
def test_where_no_guard_ever_was_it_says_so_and_leaves_nothing(tmp_path: Path, command: str) -> None:
    nowhere = tmp_path / "nowhere"
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "--data-dir", str(nowhere), command, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == {"doctor": 1, "status": 3}[command], done.stderr
    assert "Traceback" not in done.stderr and not nowhere.exists()
    assert json.loads(done.stdout)
