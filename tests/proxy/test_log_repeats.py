"""A line that is said again and again is written once in ten seconds, and says how often; every other one at once."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from proxy.log_repeats import EVERY_S, Repeats


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Log:
    """A log of our own, and what is written of it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._text = io.StringIO()
        handler = logging.StreamHandler(self._text)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        handler.addFilter(Repeats(self.clock))
        self.says = logging.Logger("perpguard.test")
        self.says.addHandler(handler)

    @property
    def lines(self) -> list[str]:
        return self._text.getvalue().splitlines()


@pytest.fixture
def log() -> Iterator[Log]:
    yield Log()


def test_the_same_line_is_written_once_in_ten_seconds_with_how_often_it_was_said(log: Log) -> None:
    for _ in range(41):
        log.says.warning("the store is away: %s", "ConnectionError")
        log.clock.now_s += 0.25
    assert log.lines == [
        "WARNING the store is away: ConnectionError",
        "WARNING the store is away: ConnectionError (39 more in the last 10 s)",
    ]


def test_another_text_level_or_exception_is_another_line(log: Log) -> None:
    log.says.warning("the store is away: %s", "ConnectionError")
    log.says.warning("the store is away: %s", "TimeoutError")
    log.says.error("the store is away: %s", "TimeoutError")
    for trouble in (OSError(), ValueError(), ValueError()):
        log.says.warning("it failed", exc_info=(type(trouble), trouble, None))
    assert [line for line in log.lines if line.startswith(("WARNING", "ERROR"))] == [
        "WARNING the store is away: ConnectionError",
        "WARNING the store is away: TimeoutError",
        "ERROR the store is away: TimeoutError",
        "WARNING it failed",
        "WARNING it failed",
    ]


class Lasting(Exception):
    """Known to last."""

    said_every_s = 600.0


def test_what_is_known_to_last_is_written_as_rarely_as_it_says(log: Log) -> None:
    for _ in range(60):
        log.says.warning("prices: %s", Lasting("silence"))
        log.clock.now_s += 10
    assert log.lines == ["WARNING prices: silence"]
    log.says.warning("prices: %s", Lasting("silence"))
    assert log.lines[1:] == ["WARNING prices: silence (59 more in the last 600 s)"]


def test_one_that_comes_again_later_is_written_as_it_is(log: Log) -> None:
    for _ in range(2):
        log.says.warning("100 %% of it")
        log.clock.now_s += EVERY_S
    assert log.lines == ["WARNING 100 %% of it"] * 2


def test_what_is_remembered_is_bounded(log: Log) -> None:
    log.says.warning("the first")
    for number in range(600):
        log.says.warning("another: %d", number)
    log.says.warning("the first")
    assert log.lines.count("WARNING the first") == 2
