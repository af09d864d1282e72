"""The order path's bench itself: every way that is installed, each mode, and that no order is lost on any."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.path.ways.programs import find_haproxy, find_mitmdump, find_nginx

ROOT = Path(__file__).resolve().parents[3]
MODES = ["one at a time", "32 at once", "20/s"]


@pytest.mark.full
def test_a_tiny_run_measures_every_way_in_every_mode(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.path", "--rounds", "1", "--seconds", "0.1", "--rates", "20"]
    ran = subprocess.run(
        [*command, "--json", str(tmp_path / "path.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    # It fails by itself when the upstream has not counted what a way accepted, or more than one order is refused.
    assert ran.returncode == 0, ran.stderr
    told = json.loads((tmp_path / "path.json").read_text())
    installed = {"nginx": find_nginx(), "HAProxy": find_haproxy(), "mitmproxy": find_mitmdump()}
    for name, program in installed.items():
        assert (name in told["ways"]) is (program is not None)
        assert (f"{name} is not installed" in ran.stderr) is (program is None)
    assert {"direct", "FastAPI + httpx", "guard", "guard by TLS"} <= told["ways"].keys()
    for name, way in told["ways"].items():
        # A machine so busy that a way carries no twenty a second is not offered them.
        assert set(MODES[:2]) <= way["modes"].keys() <= set(MODES)
        for facts in way["modes"].values():
            # One may be refused for want of a store in time, on a machine that has others to serve.
            assert facts["orders"] > facts["refused"] <= 1
            assert 0 < facts["p50_us"] <= facts["p99_us"] <= facts["p99_9_us"]
            assert facts["orders_per_s"] > 0
        assert (way["rss_mib"] > 0) is (name != "direct")
    alone = told["guard_alone_us"]
    assert {"hold, mean", "decide, mean", "send, mean", "settle, mean", "total, mean"} <= alone.keys()
    assert alone["total, mean"] > alone["send, mean"] > 0
    assert "| guard | " in ran.stdout and "| guard by TLS | " in ran.stdout and "UTC" in ran.stdout
