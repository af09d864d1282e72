"""kill -9 at random moments: what was acknowledged is there, and the chain is whole."""

import os
import random
import signal
import time

from proxy.audit.archive import Archive
from proxy.audit.reader import ArchiveReader
from proxy.audit.verify import verify

ROUNDS = 20
SEED = 20261124


def write_until_killed(path, desk, pipe, first):
    """The child: append batches for ever, and name each one only when its append has returned."""
    dice = random.Random(first)
    with Archive.open(path) as archive:
        number = first
        while True:
            size = dice.randint(1, 5)
            archive.append([(f"1-{n}", desk.event(f"e-{n}")) for n in range(number, number + size)])
            number += size
            os.write(pipe, f"{number}\n".encode())


def test_nothing_acknowledged_is_lost_and_the_chain_holds(tmp_path, desk):
    path = tmp_path / "audit" / "audit.db"
    dice = random.Random(SEED)
    acknowledged = 0
    for _ in range(ROUNDS):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(reading)
                write_until_killed(path, desk, writing, acknowledged)
            finally:
                os._exit(1)
        os.close(writing)
        time.sleep(dice.uniform(0.0, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reading, "rb") as pipe:
            acks = pipe.read().splitlines()
        acknowledged = int(acks[-1]) if acks else acknowledged
        if path.exists() and path.stat().st_size:
            Archive.open(path).close()
            assert verify(path).ok, f"seed {SEED}"
    with ArchiveReader.open(path) as reader:
        missing = [number for number in range(acknowledged) if not reader.has("event", f"e-{number}")]
        assert not missing, f"seed {SEED}"
        stream_id = int(reader.last_stream_id().split("-")[1])
        assert acknowledged > ROUNDS
        assert stream_id >= acknowledged - 1
        assert reader.has("event", f"e-{stream_id}")
