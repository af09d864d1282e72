"""How hypothesis tries things in all tests: the same things every time, and no faster than the machine can.

``PERPGUARD_PROOF`` (2 to 100) tries others each time, and so many times as many where a test does not say how many.
"""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

PROOF: Final = min(100, max(1, int(os.environ.get("PERPGUARD_PROOF", "1"))))

# A test that fails must fail again. And its time is not what it tests: a busy machine stops anybody for 200 ms.
settings.register_profile(
    "tests",
    max_examples=100 * PROOF,
    derandomize=PROOF == 1,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
if "MUTANT_UNDER_TEST" not in os.environ:  # Whoever asks mutants has a profile of its own.
    settings.load_profile("tests")
