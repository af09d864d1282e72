"""What of an account's statement is read next: news first, then what is missing, the newest first. Pure.

All times are the venue's, in milliseconds. A row may appear in the statement a little later than others of its time,
so every reading begins a while before the last one ended, and news is looked for twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.exchange.statement_reads import WINDOW_MS
from proxy.ledger.books.spans import Span, gaps, joined

SOON_MS: Final = 5_000
AGAIN_MS: Final = 60_000
"""From news to the two readings it causes: a burst of fills costs one of each."""

EVERY_MS: Final = 600_000
"""Without any news."""

OVERLAP_MS: Final = 600_000
"""Rows may appear this much later than others of their time and are still read."""

REFUSED_MS: Final = 3_600_000
"""Until a source that the venue refused is asked for again, without news: a contract that is gone stays refused."""

REACH_MS: Final = 80 * 24 * 3600 * 1000
"""How far back is asked: the venue keeps three months of income. What is older and missing stays missing."""


@dataclass(frozen=True, slots=True)
class Question:
    """A source, and the time of it to read. ``is_open``: whatever is later too, so rows that the venue stamps ahead of
    its own clock are not left out."""

    source: str
    span: Span
    is_open: bool = False


@dataclass(slots=True)
class _Source:
    spans: tuple[Span, ...]
    due_ms: int = 0
    soon_ms: int | None = None
    again_ms: int | None = None
    cut_ms: int | None = None
    refused_until_ms: int = 0

    def is_due(self, now_ms: int) -> bool:
        """Whether its end is to be read: for news, or because that was long ago."""
        return any(at is not None and at <= now_ms for at in (self.due_ms, self.soon_ms, self.again_ms))


class Schedule:
    """One account's. ``since_ms`` is where its ledger begins."""

    def __init__(self, since_ms: int, read: Mapping[str, Sequence[Span]]) -> None:
        self._since_ms = since_ms
        self._sources = {source: _Source(joined(spans)) for source, spans in read.items()}

    @property
    def sources(self) -> frozenset[str]:
        """What is read."""
        return frozenset(self._sources)

    def follow(self, source: str) -> None:
        """Read this one too, from the beginning."""
        self._sources.setdefault(source, _Source(()))

    def news(self, source: str, now_ms: int) -> None:
        """Something was booked just now."""
        self.follow(source)
        told = self._sources[source]
        told.soon_ms = told.soon_ms if told.soon_ms is not None else now_ms + SOON_MS
        told.again_ms = now_ms + AGAIN_MS

    def done(self, question: Question, read: Span, now_ms: int) -> None:
        """So much of what was asked has been read and kept."""
        source = self._sources[question.source]
        source.spans = joined((*source.spans, read))
        if not question.is_open:
            return
        # More rows than an answer has, maybe within the overlap alone: go on from there, not from before it.
        source.cut_ms = read.end if read.end < question.span.end else None
        if source.cut_ms is None:
            source.due_ms = now_ms + EVERY_MS
            source.soon_ms = source.soon_ms if source.soon_ms is not None and source.soon_ms > now_ms else None
            source.again_ms = source.again_ms if source.again_ms is not None and source.again_ms > now_ms else None

    def refused(self, question: Question, now_ms: int) -> None:
        """The venue does not answer this: nothing counts as read, and it keeps no other question waiting."""
        source = self._sources[question.source]
        source.refused_until_ms = now_ms + REFUSED_MS
        if question.is_open:
            source.due_ms = source.refused_until_ms
            source.soon_ms = source.again_ms = None

    def next(self, now_ms: int) -> Question | None:
        """What to read now, ``None`` while nothing is due and nothing is missing that the venue still has."""
        reach_ms = max(self._since_ms, now_ms - REACH_MS)
        ends = {name: each.spans[-1].end if each.spans else reach_ms for name, each in self._sources.items()}
        due = [name for name, each in self._sources.items() if each.is_due(now_ms)]
        if due:
            name = min(due, key=lambda each: (ends[each], each))
            cut_ms = self._sources[name].cut_ms
            begin = cut_ms if cut_ms is not None else max(reach_ms, ends[name] - OVERLAP_MS, now_ms - WINDOW_MS)
            return Question(name, Span(begin, max(begin + 1, now_ms)), is_open=True)
        missing = [
            (gap, name)
            for name, each in self._sources.items()
            if now_ms >= each.refused_until_ms
            for gap in gaps(each.spans, Span(reach_ms, max(reach_ms, ends[name])))
        ]
        if not missing:
            return None
        gap, name = max(missing, key=lambda each: (each[0].end, each[1]))
        return Question(name, Span(max(gap.begin, gap.end - WINDOW_MS), gap.end))
