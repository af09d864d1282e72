"""What holds for all tests.

Hypothesis tries the same things every time, and no faster than the machine can. With ``PERPGUARD_PROOF`` (1 to 100) it
tries others each time, and so many times as many where a test does not say how many. A test that fails with a guard
running shows the end of that guard's log: what it says is mostly why. Files whose tests wait for running guards come
first: at the end, with short ones left, nobody waits long for the last.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings

from proxy.practice.world import World

LOG_LINES: Final = 100
WAITING: Final = ("e2e", "browser", "conformance", "simulation", "test_compose_starts.py")
PROOF: Final = min(100, max(1, int(os.environ.get("PERPGUARD_PROOF", "1"))))

# A test that fails must fail again. And its time is not what it tests: a busy machine stops anybody for 200 ms.
settings.register_profile(
    "tests",
    max_examples=100 * PROOF,
    derandomize="PERPGUARD_PROOF" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
if "MUTANT_UNDER_TEST" not in os.environ:  # Whoever asks mutants has a profile of its own.
    settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that wait first, else in order."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(here).parts[0] not in WAITING)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: it need not be looked through for garbage again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """The logs of the worlds that run beside a test that has failed."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for world in {id(each): each for each in item.funcargs.values() if isinstance(each, World)}.values():
            log = world.data_dir / "guard.log"
            if log.exists():
                report.sections.append((f"end of {log.name}", "".join(log.read_text().splitlines(True)[-LOG_LINES:])))
    return report
