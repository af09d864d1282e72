"""The one list a person on duty reads: what is wrong is on it, the worst first, and a calm desk has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.console.attention import SHOWN, attention_of
from proxy.console.desk_views import ArchiveView, DeskView, FeedView, LastDrill, LeaseView, SymbolView, WatchdogView
from proxy.console.progress import UNREADABLE, Progress
from tests.proxy.console.desk_double import a_bot, a_desk, a_limit, an_account, an_override

DRILL = LastDrill(id="d", kind="dry", at="2026-11-23T09:30:00Z", age_s=86_400.0, passed=True, phase="FLAT")
STALE = FeedView(state="STALE", why="no sign of life", age_s=40.0, adopted=None, gaps_healed=0)


def calm(**changes: object) -> DeskView:
    return a_desk(**({"bots": (a_bot(),), "accounts": (an_account(limits=()),), "drill": DRILL} | changes))


def of_account(**changes: object) -> DeskView:
    return calm(accounts=(an_account(**({"limits": ()} | changes)),))


def lines(desk: DeskView, progress: Progress | None = None) -> list[str]:
    found = attention_of(desk, progress)
    return [f"{each.level} {each.subject}: {each.text}" for each in found.items]


def a_stop(**changes: object) -> Progress:
    stop = Progress(running=False, flat=True, scope="desk", by="Ada", reason="x", flat_ms=1.0, accounts=())
    return replace(stop, **changes)


def test_a_calm_desk_needs_nobody() -> None:
    assert lines(calm(), a_stop()) == []
    assert attention_of(calm(), None).level == "good"


@pytest.mark.parametrize(
    ("desk", "said"),
    [
        (calm(state="HALTED"), "bad Desk: is stopped"),
        (calm(state="REDUCING"), "warn Desk: is reduce-only"),
        (calm(store_ok=False), "bad Store: does not answer: entries are refused, exits pass"),
        (
            calm(archive=ArchiveView(opened=False, trouble="the seal is gone")),
            "bad Audit: does not open: entries are refused. the seal is gone",
        ),
        (
            calm(archive=ArchiveView(opened=True, trouble="the disk is full")),
            "bad Audit: takes no records, and when too many wait entries are refused. the disk is full",
        ),
        (calm(markets_age_s=40.0), "bad Markets: prices are 40 s old: entries are refused"),
        (calm(markets_age_s=None), "bad Markets: prices were never read: entries are refused"),
        (calm(markets_age_s=-3600.0), "bad Markets: prices are −60 min old: entries are refused"),
        (calm(drill=None), "warn Drill: the kill was never rehearsed here"),
        (
            calm(drill=replace(DRILL, passed=False, phase="DEGRADED")),
            "bad Drill: the last rehearsal did not pass: DEGRADED",
        ),
        (
            calm(taken_by="there:/data"),
            "bad Desk: is another guard's in this store, at there:/data: entries are refused, exits pass",
        ),
        (calm(unrehearsed=("main",)), "warn Drill: the kill of main was never rehearsed"),
        (
            calm(
                drill=replace(DRILL, passed=False, phase="DEGRADED", account="main"),
                accounts=(an_account(limits=()), an_account(name="test", limits=())),
            ),
            "bad Drill: the last rehearsal of main did not pass: DEGRADED",
        ),
        (calm(drill=replace(DRILL, age_s=40 * 86_400)), "warn Drill: the last rehearsal was 40 days ago"),
        (
            calm(watchdogs=(WatchdogView(name="east", duty="watching", heard_age_s=64.0, lost=True),)),
            "bad Watchdog east: lost, heard 64 s ago",
        ),
        (
            calm(watchdogs=(WatchdogView(name="east", duty="waiting", heard_age_s=None, lost=True),)),
            "bad Watchdog east: lost, never heard",
        ),
        (
            calm(leases=(LeaseView(bot="grid", account="main", ttl_s=30, left_s=-12, step="reduce"),)),
            "warn Lease of grid: ran out 12 s ago; reduce",
        ),
        (calm(symbols=(SymbolView(name="DOGEUSDT", state="HALTED"),)), "bad DOGEUSDT: is stopped"),
        (calm(overrides=(an_override(),)), "warn Override: momentum asks for BTCUSDT past max_order_value"),
        (calm(bots=(a_bot(state="REDUCING", stopped_for="outlier"),)), "warn grid-1: is reduce-only: outlier"),
        (calm(bots=(a_bot(anomaly=0.9, why="rate"),)), "warn grid-1: anomaly 0.90: rate"),
        (of_account(state="HALTED"), "bad main: is stopped"),
        (of_account(external_trader=True), "bad main: is traded past the guard after a stop"),
        (of_account(exchange_key="may withdraw"), "bad main: exchange key: may withdraw"),
        (of_account(feed=STALE), "bad main: stream is stale: no sign of life"),
        (of_account(known_age_s=None), "bad main: last confirmed never"),
        (of_account(unknown_holds=2), "warn main: 2 orders whose outcome nobody knows"),
        (of_account(clock_offset_ms=-1500), "warn main: the venue's clock differs by -1500 ms"),
        (of_account(limits=(a_limit(share=0.95),)), "warn main: Leverage at 95% of its limit"),
        (of_account(limits=(a_limit(share=1.2),)), "bad main: Leverage at 120% of its limit"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_each_thing_is_said(desk: DeskView, said: str) -> None:
    assert lines(desk) == [said]


def test_a_limit_that_is_not_near_is_not_said() -> None:
    assert lines(of_account(limits=(a_limit(share=0.89),))) == []


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        (a_stop(running=True, flat=False), ["bad Stop: desk is being stopped"]),
        (a_stop(flat=False), ["bad Stop: the last stop of desk did not end flat"]),
        (UNREADABLE, ["bad Stop: how far the stop is cannot be read"]),
        (a_stop(unknown=("main", "two")), ["bad Stop: how the last stop of main, two stands cannot be read"]),
        (a_stop(left_open=("account:elsewhere", "account:main", "bot:grid-1")), []),
    ],
    ids=["running", "not-flat", "unreadable", "one-unreadable", "people-have-looked"],
)
def test_a_stop_that_is_not_over_is_said(stop: Progress, said: list[str]) -> None:
    assert lines(calm(), stop) == said


def test_a_stop_that_did_not_end_flat_is_not_forgotten_for_a_later_one_of_another_account() -> None:
    desk, stop = of_account(state="HALTED"), a_stop(scope="account:second", left_open=("account:main",))
    assert lines(desk, stop) == ["bad main: its last stop did not end flat", "bad main: is stopped"]
    desk, stop = calm(bots=(a_bot(state="HALTED"),)), a_stop(left_open=("bot:grid-1", "account:main"))
    assert lines(desk, stop)[0] == "bad grid-1: its last stop did not end flat"


def test_the_bad_comes_before_what_is_only_watched_and_the_list_ends() -> None:
    bots = tuple(a_bot(name=f"bot-{at}", state="REDUCING") for at in range(SHOWN + 3))
    found = attention_of(calm(bots=bots, store_ok=False), None)
    assert (found.items[0].subject, found.level) == ("Store", "bad")
    assert (len(found.items), found.left_out) == (SHOWN, 4)
