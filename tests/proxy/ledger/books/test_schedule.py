"""What is read next: news before old gaps, never more than the venue answers, and in the end nothing is missing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.statement_reads import WINDOW_MS
from proxy.ledger.books.schedule import (
    AGAIN_MS,
    EVERY_MS,
    OVERLAP_MS,
    REACH_MS,
    REFUSED_MS,
    SOON_MS,
    Question,
    Schedule,
)
from proxy.ledger.books.spans import Span, gaps
from tests.proxy.ledger.books.builders import DAY_MS, NOW_MS

SINCE = NOW_MS - 5 * DAY_MS


def read(schedule: Schedule, now_ms: int = NOW_MS) -> Question:
    """The next question, answered in full."""
    question = schedule.next(now_ms)
    assert question is not None
    schedule.done(question, question.span, now_ms)
    return question


def test_a_new_source_is_read_from_the_beginning_to_beyond_now() -> None:
    schedule = Schedule(SINCE, {"income": ()})
    assert read(schedule) == Question("income", Span(SINCE, NOW_MS), is_open=True)
    assert schedule.next(NOW_MS) is None
    again = NOW_MS + EVERY_MS
    assert schedule.next(again) == Question("income", Span(NOW_MS - OVERLAP_MS, again), is_open=True)


def test_news_is_looked_for_soon_and_once_more() -> None:
    schedule = Schedule(SINCE, {"income": ()})
    read(schedule)
    for late in range(3):
        schedule.news("income", NOW_MS + late)
    assert schedule.next(NOW_MS + SOON_MS - 1) is None
    read(schedule, NOW_MS + SOON_MS)
    assert schedule.next(NOW_MS + AGAIN_MS) is None
    read(schedule, NOW_MS + AGAIN_MS + 2)
    assert schedule.next(NOW_MS + AGAIN_MS + SOON_MS) is None


def test_after_weeks_away_the_last_days_come_first_and_then_the_gap_backwards() -> None:
    away = NOW_MS + 20 * DAY_MS
    schedule = Schedule(SINCE, {"income": [Span(SINCE, NOW_MS)]})
    assert read(schedule, away).span == Span(away - WINDOW_MS, away)
    assert read(schedule, away) == Question("income", Span(away - 2 * WINDOW_MS, away - WINDOW_MS))
    assert read(schedule, away) == Question("income", Span(NOW_MS, away - 2 * WINDOW_MS))
    assert schedule.next(away) is None


def test_what_the_venue_does_not_keep_is_not_asked_for() -> None:
    schedule = Schedule(NOW_MS - REACH_MS - 9 * DAY_MS, {"income": ()})
    asked = []
    while (question := schedule.next(NOW_MS)) is not None:
        schedule.done(question, question.span, NOW_MS)
        asked.append(question.span.begin)
    assert min(asked) == NOW_MS - REACH_MS


def test_an_answer_that_was_cut_is_gone_on_with() -> None:
    schedule = Schedule(SINCE, {"income": ()})
    question = schedule.next(NOW_MS)
    assert question is not None
    cut = NOW_MS - OVERLAP_MS // 2
    schedule.done(question, Span(SINCE, cut), NOW_MS)
    assert read(schedule).span == Span(cut, NOW_MS), "not the overlap again, which may be what fills an answer"
    assert schedule.next(NOW_MS) is None


def test_what_is_refused_keeps_nothing_waiting_and_is_asked_again_in_an_hour() -> None:
    schedule = Schedule(SINCE, {"fills A": [Span(SINCE, SINCE + 1)], "income": [Span(NOW_MS - 1, NOW_MS)]})
    schedule.news("fills A", NOW_MS - SOON_MS)
    question = schedule.next(NOW_MS)
    assert question is not None and question.source == "fills A"
    schedule.refused(question, NOW_MS)
    assert [read(schedule).source for _ in range(2)] == ["income", "income"], "its end, and what is missing of it"
    assert schedule.next(NOW_MS + AGAIN_MS) is None
    again = NOW_MS + REFUSED_MS
    assert read(schedule, again) == Question("fills A", Span(SINCE, again), is_open=True)


def test_a_gap_that_is_refused_is_not_offered_for_an_hour_and_news_are_read() -> None:
    schedule = Schedule(SINCE, {"fills A": [Span(NOW_MS - 1, NOW_MS)]})
    read(schedule)
    gap = schedule.next(NOW_MS)
    assert gap is not None and not gap.is_open
    schedule.refused(gap, NOW_MS)
    assert schedule.next(NOW_MS) is None
    schedule.news("fills A", NOW_MS)
    assert read(schedule, NOW_MS + SOON_MS).is_open
    assert schedule.next(NOW_MS + SOON_MS) is None
    read(schedule, NOW_MS + REFUSED_MS)
    assert schedule.next(NOW_MS + REFUSED_MS) == gap


SOURCES = st.dictionaries(
    st.sampled_from(["income", "fills A", "fills B"]),
    st.lists(
        st.tuples(st.integers(SINCE, NOW_MS), st.integers(SINCE, NOW_MS)).map(lambda pair: Span(*sorted(pair))),
        max_size=6,
    ),
    min_size=1,
)


@given(SOURCES, st.data())
def test_in_the_end_nothing_is_missing_however_the_answers_are_cut(
    sources: dict[str, list[Span]], data: st.DataObject
) -> None:
    schedule, have = Schedule(SINCE, sources), {name: list(spans) for name, spans in sources.items()}
    cuts = 10
    for _ in range(100):
        question = schedule.next(NOW_MS)
        if question is None:
            break
        begin, end = question.span
        assert end - begin <= WINDOW_MS
        if cuts and end - begin > 1:
            cuts -= 1
            end = data.draw(st.integers(begin + 1, end))
        have[question.source].append(Span(begin, end))
        schedule.done(question, Span(begin, end), NOW_MS)
    assert {name: gaps(spans, Span(SINCE, NOW_MS)) for name, spans in have.items()} == dict.fromkeys(sources, ())
