"""The soak in its short form, and what it says of one that did not hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from bench import soak as bench_soak
from bench.crowd import BOUNDS_MS, KINDS
from bench.soak import GATE_RSS_MAX, Sample, Soak, main, write
from proxy.audit.archive import Archive
from proxy.audit.place import archive_place
from tests.proxy.audit.conftest import SIGNER, TRUSTED

MIB = 2**20


def a_soak(*sizes: int, exchange: int = 1_000, audit: int = 1_000, **counts: int) -> Soak:
    """One of ten seconds at a hundred orders a second, with these sizes of its gate at the end."""
    samples = [
        Sample(at_s=5.0 + at, rss={"gate-0": size}, cpu={"gate-0": 0.1}, orders_per_s=100, p50_ms=1, p99_ms=2)
        for at, size in enumerate(sizes)
    ]
    told = {"sent": 1_000, "accepted": 1_000, "refused": 0, "failed": 0, "late": 0, "dropped": 0} | counts
    soak = Soak(seconds=10, rate=100, connections=10, samples=samples, counts=told)
    soak.at_the_exchange, soak.in_the_audit = exchange, audit
    return soak


def test_one_in_which_everything_holds_says_nothing() -> None:
    assert list(a_soak(100 * MIB, 103 * MIB, 101 * MIB).troubles()) == []


@pytest.mark.parametrize(
    ("soak", "trouble"),
    [
        (a_soak(90 * MIB, 100 * MIB, 115 * MIB), "not flat"),
        (a_soak(GATE_RSS_MAX + MIB, GATE_RSS_MAX + MIB), "more than 120.0 MiB"),
        (a_soak(MIB, failed=1), "1 failed"),
        (a_soak(MIB, dropped=2), "2 dropped"),
        (a_soak(MIB, exchange=1_001), "the exchange took 1001"),
        (a_soak(MIB, audit=999), "the audit 999"),
        (a_soak(MIB, sent=700, accepted=700, exchange=700, audit=700), "70 orders/s were sent"),
        (a_soak(MIB, accepted=800, exchange=800, audit=800), "only 800 of 1000"),
    ],
    ids=["grows", "large", "failed", "dropped", "unknown_to_bots", "not_in_the_audit", "slow", "refused"],
)
def test_each_thing_that_does_not_hold_is_said(soak: Soak, trouble: str) -> None:
    assert [words for words in soak.troubles() if trouble in words]


@pytest.mark.full
def test_a_short_one_accounts_for_every_order(tmp_path: Path) -> None:
    main(["--seconds", "6", "--rate", "20", "--connections", "60", "--results", str(tmp_path)])
    told = json.loads((tmp_path / "soak.json").read_text())
    counts = told["counts"]
    assert counts["accepted"] > 0
    assert (counts["failed"], counts["dropped"]) == (0, 0), told["troubles"]
    assert told["at_the_exchange"] == told["in_the_audit"] == counts["accepted"]
    assert all(told["samples"][-1]["rss"][name] > 0 for name in ("gate-0", "warden", "store"))
    ElementTree.parse(tmp_path / "soak.svg")


def test_a_gate_that_dies_ends_the_watching_and_what_was_seen_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"])
    reaping = threading.Thread(target=gate.wait)  # As the supervisor does.
    reaping.start()
    monkeypatch.setattr(bench_soak, "SAMPLE_EVERY_S", 0.1)
    monkeypatch.setattr(bench_soak, "guard_processes", lambda supervisor: {"gate-0": gate.pid, "warden": os.getpid()})
    soak = Soak(seconds=60, rate=10, connections=1, counts=dict.fromkeys(KINDS, 0))
    crowd: Any = SimpleNamespace(times=[0] * (len(BOUNDS_MS) + 1))
    bench_soak._watch(cast(Any, SimpleNamespace(guard_pid=0)), crowd, soak)
    reaping.join()
    assert list(soak.ended) == ["gate-0"] and 0 < soak.ended["gate-0"] < 30
    troubles = list(soak.troubles())
    assert re.fullmatch(r"gate-0 was gone after \d+ s", troubles[0])
    write(soak, troubles, tmp_path)
    assert "gate-0" in json.loads((tmp_path / "soak.json").read_text())["ended"]


def test_what_was_taken_for_a_strangers_is_kept_in_the_report(tmp_path: Path) -> None:
    archive = Archive.open(archive_place(tmp_path), SIGNER, keys=TRUSTED)
    told = {"kind": "event", "id": "e", "at": "2026-11-30T09:32:43Z", "desk": "desk", "what": "outside.activity"}
    archive.append([("1-0", told | {"by": "warden", "detail": {}})])
    archive.close()
    soak = a_soak(MIB)
    soak.found_outside = bench_soak._found_outside(cast(Any, SimpleNamespace(data_dir=tmp_path)))
    write(soak, [], tmp_path)
    (found,) = json.loads((tmp_path / "soak.json").read_text())["found_outside"]
    assert json.loads(found)["what"] == "outside.activity"
