"""A scoreboard on a disk of its own and a clock that a test winds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.signals.scoreboard.board import Scoreboard
from tests.support.signals import BEGIN


@dataclass
class HandClock:
    """A clock of whole seconds that a test sets."""

    seconds: int = BEGIN

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def open_board(tmp_path: Path, clock: HandClock) -> Iterator[Callable[[], Scoreboard]]:
    """Opens the one of this test, as often as it is asked to: as a restart would."""
    opened: list[Scoreboard] = []

    def open_it() -> Scoreboard:
        opened.append(Scoreboard(tmp_path, clock))
        return opened[-1]

    yield open_it
    for board in opened:
        board.close()
