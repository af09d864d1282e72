"""Every input that ever broke a parser, every honest seed, and some noise: no parser breaks, none accepts nonsense."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.fuzz.catalogue import TARGETS
from tests.fuzz.corpus import FOLDER, kept
from tests.fuzz.target import Refused, Target, TooSlow

MUTATIONS = 300


@pytest.fixture(params=list(TARGETS.values()), ids=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    found: Target = request.param
    return found


def mutated(seeds: list[bytes], luck: random.Random) -> Iterator[bytes]:
    """Seeds with a few bytes changed, taken out, doubled, or joined with another seed."""
    for _ in range(MUTATIONS):
        data = bytearray(luck.choice(seeds))
        for _ in range(luck.randint(1, 4)):
            start = luck.randint(0, len(data))
            end = min(len(data), start + luck.choice((0, 1, 1, 2, 8)))
            other = luck.choice(seeds)
            data[start:end] = luck.choice(
                (b"", bytes([luck.randrange(256)]), bytes(data[start:end]) * 2, other[start:end], other[start:])
            )
        yield bytes(data[:4096])


def test_what_was_once_found_stays_mended(target):
    for data in kept(target.name):
        target.execute(data)


def test_honest_inputs_are_read(target):
    assert sum(target.execute(data) for data in target.seeds()) >= 1


def test_what_is_nearly_honest_breaks_nothing(target):
    for data in mutated([*target.seeds()], random.Random(20261128)):
        target.execute(data)


def test_the_corpus_belongs_to_targets_that_exist():
    assert {path.stem for path in FOLDER.glob("*.jsonl")} <= TARGETS.keys()


def a_target(read, check=lambda data, value: None) -> Target:
    return Target(name="a", read=read, check=check, seeds=lambda: [b""])


def refusing(data: bytes) -> None:
    raise Refused


def test_a_refusal_is_no_finding():
    assert a_target(refusing).execute(b"x") is False


def test_another_exception_is_a_finding():
    with pytest.raises(ZeroDivisionError):
        a_target(lambda data: 1 // 0).execute(b"x")


def test_a_hang_is_a_finding():
    with pytest.raises(TooSlow):
        a_target(lambda data: sum(range(500_000))).execute(b"x")
