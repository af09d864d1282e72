"""Lets these tests import their helpers by name, however pytest was started (importlib mode leaves the root out)."""

import sys
from pathlib import Path

_ROOT = str(Path(__file__).parents[3])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)
