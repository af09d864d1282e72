"""``python -m tests.fuzz.attack TARGET RUNS``: one target under atheris, coverage-guided; ``make fuzz`` runs them all.

Inputs that reach new code are kept under ``.fuzz/TARGET/corpus`` and begin the next run. The first finding ends the
run; its input is under ``.fuzz/TARGET/found``. What was slow here is under ``.fuzz/TARGET/slow``: instrumented code is
slower than the guard's, so ``tests.fuzz.replay`` asks it again without.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
import traceback
from pathlib import Path

import atheris

from tests.fuzz.corpus import PLACE, kept
from tests.fuzz.target import Target, TooSlow

with atheris.instrument_imports(include=["proxy"]):
    from tests.fuzz.catalogue import TARGETS


WORDS = Path(__file__).parent / "words.dict"
SLOW_MAX = 50
"""Slow inputs kept of a run."""


class Attack:
    """So many executions of one target."""

    def __init__(self, target: Target, runs: int) -> None:
        self._target, self._runs = target, runs
        self._done = self._accepted = self._slow = 0
        self._began = time.monotonic()

    def one_input(self, data: bytes) -> None:
        """What atheris calls. The process ends here: its own way out waits for seconds."""
        if self._done == self._runs:
            self._end(0)
        self._done += 1
        try:
            self._accepted += self._target.execute(data)
        except TooSlow:
            self._slow += 1
            if self._slow <= SLOW_MAX:
                self._keep("slow", data)
        except Exception:  # Whatever escapes a parser or a check is what is looked for.
            traceback.print_exc()
            self._keep("found", data)
            self._end(1)

    def _keep(self, folder: str, data: bytes) -> None:
        (PLACE / self._target.name / folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def _end(self, status: int) -> None:
        rate = self._done / (time.monotonic() - self._began)
        print(
            f"{self._target.name}: {self._done} executions, {rate:.0f}/s, {self._accepted} accepted, "
            f"{self._slow} slow when instrumented{', A FINDING' if status else ''}",
            flush=True,
        )
        os._exit(status)


def main(name: str, runs: int) -> None:
    """Attack until ``runs`` executions are over or something was found."""
    target = TARGETS[name]
    place = PLACE / name
    for folder in ("corpus", "seeds", "found", "slow"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate((*target.seeds(), *kept(name))):
        (place / "seeds" / str(number)).write_bytes(seed)
    logging.disable()
    # -len_control=0: the honest seeds are long from the first moment.
    # What libFuzzer itself finds slow lies beside what the target's own clock did, and not where it was started.
    places = [f"-dict={WORDS}", f"-artifact_prefix={place / 'slow'}/"]
    options = [f"-max_len={target.bytes_max}", "-len_control=0", "-verbosity=0", *places]
    atheris.Setup([sys.argv[0], *options, str(place / "corpus"), str(place / "seeds")], Attack(target, runs).one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
