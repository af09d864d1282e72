"""Which times of a statement have been read, and which are missing. Milliseconds, begin included, end not. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of time."""

    begin: int
    end: int


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same times in as few spans as possible, oldest first; empty ones are left out."""
    found: list[Span] = []
    for span in sorted(each for each in spans if each.begin < each.end):
        if found and span.begin <= found[-1].end:
            found[-1] = Span(found[-1].begin, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def gaps(spans: Iterable[Span], whole: Span) -> tuple[Span, ...]:
    """What of ``whole`` no span has, oldest first."""
    found, at = [], whole.begin
    for span in joined(spans):
        if span.begin > at:
            found.append(Span(at, min(span.begin, whole.end)))
        at = max(at, span.end)
        if at >= whole.end:
            break
    found.append(Span(at, whole.end))
    return tuple(each for each in found if each.begin < each.end)
