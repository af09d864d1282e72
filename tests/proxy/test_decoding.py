"""Kinds are learned whole before anybody reads them: a thread that met a half-learned one took its process along."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from proxy.decoding import build, decoder

ROUNDS = 150

# In a process of its own: what is wrong here ends the process. With ``msgspec.convert`` it does in the first rounds.
RACE = f"""
import dataclasses, sys, threading
from proxy.decoding import build, decoder

sys.setswitchinterval(1e-6)
inside = {{f"field_{{i}}": i for i in range(30)}}
content = {{f"part_{{i}}": inside for i in range(10)}}
for number in range({ROUNDS}):
    part = dataclasses.make_dataclass(f"Part{{number}}", [(name, int) for name in inside])
    whole = dataclasses.make_dataclass(f"Whole{{number}}", [(name, part) for name in content])
    another = dataclasses.make_dataclass(f"Another{{number}}", [("one", part)])
    together = threading.Barrier(3)
    built = []

    def read(kind, value):
        together.wait()
        built.append(build(value, kind))

    def learn():
        together.wait()
        built.append(decoder(list[another]).decode(b"[]"))

    hands = [
        threading.Thread(target=read, args=(whole, content)),
        threading.Thread(target=read, args=(another, {{"one": inside}})),
        threading.Thread(target=learn),
    ]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert len(built) == 3
"""


@dataclass(frozen=True)
class Fill:
    quantity: Decimal
    at: datetime


def test_threads_that_meet_a_kind_at_once_all_read_it() -> None:
    done = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_builds_what_was_written() -> None:
    written = {"quantity": "0.10", "at": "2026-11-28T10:00:00Z"}
    expected = Fill(Decimal("0.10"), datetime(2026, 11, 28, 10, tzinfo=UTC))
    assert build(written, Fill) == build(written, Fill) == expected
    assert build([written], tuple[Fill, ...]) == (expected,)
    assert decoder(list[Fill]).decode(msgspec.json.encode([written])) == [expected]


def test_refuses_what_is_of_another_shape() -> None:
    with pytest.raises(msgspec.ValidationError):
        build({"quantity": "0.10"}, Fill)
    with pytest.raises(TypeError):
        decoder(3)
