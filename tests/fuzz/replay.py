"""``python -m tests.fuzz.replay``: everything the attacks kept, once more without instrumentation.

With ``--keep`` findings and the inputs that reach furthest go into the regression corpus under ``tests/fuzz/corpus``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.fuzz.catalogue import TARGETS
from tests.fuzz.corpus import PLACE, keep
from tests.fuzz.target import Target

FURTHEST: Final = 40
"""Inputs of a target's corpus that are kept, the newest: each reached code that none before it had."""

LONGEST: Final = 400
"""Bytes of an input that is kept for how far it reaches; one that broke something is kept whole."""


def main() -> int:
    """The exit status: 1 where something is broken."""
    wanted = argparse.ArgumentParser(prog="tests.fuzz.replay")
    wanted.add_argument("--keep", action="store_true", help="add to the regression corpus")
    keeping = wanted.parse_args().keep
    logging.disable()
    broken = 0
    for target in TARGETS.values():
        broken += sum(_breaks(target, path) for path in _inputs(target, "corpus", "slow", "found"))
        if keeping:
            far = [path for path in _inputs(target, "corpus") if path.stat().st_size <= LONGEST]
            far = sorted(far, key=lambda path: path.stat().st_mtime_ns)[-FURTHEST:]
            keep(target.name, (path.read_bytes() for path in (*_inputs(target, "found"), *far)))
    return 1 if broken else 0


def _inputs(target: Target, *folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((PLACE / target.name / folder).glob("*"))


def _breaks(target: Target, path: Path) -> bool:
    try:
        target.execute(path.read_bytes())
    except Exception as trouble:  # What escapes is what is looked for.
        print(f"{path}: {type(trouble).__name__}: {str(trouble)[:200]}")
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
