"""kill -9 at random moments: what was acknowledged is there, and every chain is whole.

``PERPGUARD_PROOF`` (1 to 100) multiplies the rounds of the long form: 1,000 in ``make proof``.
"""

import os
import random
import signal
import time

import pytest

from proxy.audit import archive as archive_module
from proxy.audit.anchor import read_anchor
from proxy.audit.archive import Archive
from proxy.audit.locking import ArchiveBusy
from proxy.audit.query import decision
from proxy.audit.reader import ArchiveReader
from proxy.audit.verify import verify
from tests.proxy.audit.conftest import KEYS, SIGNER, TRUSTED

PROOF = min(100, max(1, int(os.environ.get("PERPGUARD_PROOF", "1"))))
ROUNDS = 10
ROUNDS_PER_ARCHIVE = 10
SEED = 20261124
LIFE_S_MAX = 0.3
"""From an opening that is not done to some dozens of appends."""

LONGER = 1.5
"""On a machine too busy for anything to be acknowledged in that time lives are longer, by so much each."""

GIVEN_BACK_S = 30.0
"""A database notices that a writer is gone when its socket closes."""


def test_nothing_acknowledged_is_lost_and_the_chains_hold(new_place, desk):
    assert killed(new_place, desk, ROUNDS, SEED) > 0  # How many depends on the machine.


@pytest.mark.full
def test_nothing_acknowledged_is_lost_proof(new_place, desk):
    acknowledged = killed(new_place, desk, ROUNDS * PROOF, SEED + 1)
    print(f"{ROUNDS * PROOF} rounds, {acknowledged} records acknowledged, seed {SEED + 1}")
    assert acknowledged > 0


@pytest.mark.parametrize("batches", [1, 3])
def test_a_writer_that_dies_between_commit_and_anchor_leaves_nothing_unsigned(place, desk, monkeypatch, batches):
    opened(place).close()
    behind = read_anchor(place.anchor)
    child = os.fork()
    if child == 0:
        appended = []
        whole = archive_module.write_anchor
        dies = lambda *given: os._exit(7) if len(appended) == batches else whole(*given)  # noqa: E731 - the child's
        monkeypatch.setattr(archive_module, "write_anchor", dies)
        with opened(place) as archive:
            for number in range(batches):
                appended.append(number)
                archive.append([(f"1-{number}", record(desk, number))])
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    with ArchiveReader.open(place) as reader:
        seal, anchor = reader.seal(), read_anchor(place.anchor)
        assert (seal.checkpoint.seq, anchor.checkpoint.seq) == (batches, batches - 1)
        assert behind.checkpoint.seq == 0
    report = verify(place, keys=KEYS)
    assert (report.ok, report.records, report.unsigned) == (True, batches, 0)
    opened(place).close()
    assert read_anchor(place.anchor).checkpoint.seq == batches


def killed(new_place, desk, rounds, seed):
    """How many records were acknowledged in ``rounds`` lives of a writer. Asserts that none is missing."""
    dice = random.Random(seed)
    in_all, life_s = 0, LIFE_S_MAX
    for first in range(0, rounds, ROUNDS_PER_ARCHIVE):
        place = new_place()
        opened(place).close()
        acknowledged = 0
        for _ in range(min(ROUNDS_PER_ARCHIVE, rounds - first)):
            acknowledged = a_life(place, desk, acknowledged, dice.uniform(0.0, life_s))
            life_s = LIFE_S_MAX if acknowledged else min(life_s * LONGER, GIVEN_BACK_S)
            report = verify(place, keys=KEYS)
            assert report.ok, f"seed {seed}: {report.problem}"
            assert (report.sealed, report.unsigned) == (True, 0), f"seed {seed}"
            opened(place).close()
        assert verify(place, keys=KEYS).ok, f"seed {seed}"
        with ArchiveReader.open(place) as reader:
            missing = [number for number in range(acknowledged) if decision(reader, f"r-{number}") is None]
            assert not missing, f"seed {seed}"
            stream_id = int(reader.last_stream_id().split("-")[1])
            assert stream_id >= acknowledged - 1
        in_all += acknowledged
    return in_all


def a_life(place, desk, acknowledged, life_s):
    """A writer that is killed; how many records are acknowledged now."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            write_until_killed(place, desk, writing, acknowledged)
        finally:
            os._exit(1)
    os.close(writing)
    time.sleep(life_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        acks = pipe.read().splitlines()
    return int(acks[-1]) if acks else acknowledged


def write_until_killed(place, desk, pipe, first):
    """The child: append batches for ever, and name each one only when its append has returned."""
    dice = random.Random(first)
    with opened(place) as archive:
        number = first
        while True:
            size = dice.randint(1, 5)
            numbers = range(number, number + size)
            archive.append([(f"1-{n}", record(desk, n)) for n in numbers])
            number += size
            os.write(pipe, f"{number}\n".encode())


def record(desk, number):
    """Of the desk's chain and of two accounts' in turn."""
    if number % 3 == 0:
        return desk.event(f"r-{number}")
    return desk.intent(1) | {"id": f"r-{number}", "account": "main" if number % 3 == 1 else "other"}


def opened(place):
    deadline = time.monotonic() + GIVEN_BACK_S
    while True:
        try:
            return Archive.open(place, SIGNER, keys=TRUSTED)
        except ArchiveBusy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
