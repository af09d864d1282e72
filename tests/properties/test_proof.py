"""The properties with other examples every time; ``make proof`` multiplies them by ``PERPGUARD_PROOF``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.full
def test_proof_of_the_properties():
    environment = os.environ | {"PERPGUARD_PROOF": os.environ.get("PERPGUARD_PROOF", "1")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not full", str(Path(__file__).parent)],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-4000:]
