"""The regression corpus: inputs that once broke a parser, and a few that reach far into it. One JSON text a line.

Each character stands for one byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"

PLACE = Path(".fuzz")
"""What attacks keep on this machine, by target."""


def kept(name: str) -> list[bytes]:
    """The inputs kept for a target."""
    path = FOLDER / f"{name}.jsonl"
    if not path.exists():
        return []
    return [json.loads(line).encode("latin-1") for line in path.read_text(encoding="ascii").splitlines()]


def keep(name: str, inputs: Iterable[bytes]) -> None:
    """Add ``inputs`` to those that are kept, each once."""
    every = dict.fromkeys((*kept(name), *inputs))
    lines = [json.dumps(each.decode("latin-1")) + "\n" for each in every]
    (FOLDER / f"{name}.jsonl").write_text("".join(lines), encoding="ascii")
