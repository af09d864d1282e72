"""What holds for every bench: it is in the list, and told to stop it leaves neither processes nor files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.worlds import until

ROOT = Path(__file__).resolve().parents[2]
CHILDREN = {"bench.path.generator", "bench.path.upstream"}
"""Programs that benches start."""

PROGRAMS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__"): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "bench").rglob("*.py"))
    if '\nif __name__ == "__main__":\n' in path.read_text(encoding="utf-8")
}
STARTS_OR_WRITES = ("tempfile", "Popen", "get_context", "World(")


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - CHILDREN))
def test_it_is_in_the_list(name: str) -> None:
    assert f"{name}`" in (listed := (ROOT / "bench" / "README.md").read_text(encoding="utf-8")) or f"{name} " in listed


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - CHILDREN))
def test_what_starts_processes_or_writes_files_ends_in_order(name: str) -> None:
    if any(word in PROGRAMS[name] for word in STARTS_OR_WRITES):
        assert PROGRAMS[name].partition('\nif __name__ == "__main__":\n')[2].startswith("    ends_in_order()\n")


def test_nothing_that_is_tracked_is_rewritten_by_make_bench() -> None:
    assert "--readme" not in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_a_bench_that_is_told_to_stop_leaves_nothing(tmp_path: Path) -> None:
    ran = subprocess.Popen(
        [sys.executable, "-m", "bench.slow_attacks", "--connections", "10", "--rounds", "1"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: list(tmp_path.glob("perpguard-bench-*/guard.log")), "the guard was started", 60)
        assert _named_in_commands(tmp_path)
        ran.send_signal(signal.SIGTERM)
        assert ran.wait(60) == 128 + signal.SIGTERM
    finally:
        ran.kill()
    assert list(tmp_path.glob("perpguard-bench-*")) == []
    until(lambda: not _named_in_commands(tmp_path), "nothing it started is left", 10)


def _named_in_commands(directory: Path) -> list[int]:
    """Processes in whose command line the directory stands."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and str(directory).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # It has ended.
    return found
