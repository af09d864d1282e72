"""The venue's dead-man timers: where one stands, when it is armed anew, and what takes it away."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from proxy.accounts.venue_timers import CALLS_PER_MINUTE, VenueTimers
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble, VenueUnavailable
from proxy.policy.reading import parse_policy
from rules.account import Account, OpenOrder, Position
from rules.kill.dead_man import in_maintenance, may_stand
from rules.model import OrderType, PositionSide, Side
from rules.policy import Policy

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
BTC, ETH = "BTCUSDT", "ETHUSDT"


def a_policy(text: str = "") -> Policy:
    return parse_policy(f'[policy]\nname = "test"\nowner = "test@desk.example"\n{text}')


def an_order(symbol: str, order_type: OrderType = OrderType.LIMIT, *, reduce_only: bool = False) -> OpenOrder:
    return OpenOrder(
        symbol=symbol,
        side=Side.SELL,
        position_side=PositionSide.BOTH,
        order_type=order_type,
        leaves_quantity=Decimal(1),
        price=Decimal(100),
        trigger_price=Decimal(90) if order_type.is_conditional else None,
        reduce_only=reduce_only,
        close_position=False,
        order_id=f"{symbol}-{order_type}",
        client_order_id="x",
    )


def a_long(symbol: str) -> Position:
    return Position(
        symbol=symbol,
        position_side=PositionSide.BOTH,
        quantity=Decimal(1),
        entry_price=Decimal(100),
        mark_price=Decimal(100),
    )


def a_book(*orders: OpenOrder, positions: tuple[Position, ...] = ()) -> Account:
    return Account(
        name="main",
        version=1,
        as_of=NOW,
        margin_balance=Decimal(1_000),
        available_balance=Decimal(1_000),
        hedged=False,
        positions=positions,
        open_orders=orders,
    )


STOPPED_OUT = a_book(an_order(BTC, OrderType.STOP_MARKET, reduce_only=True), an_order(BTC), positions=(a_long(BTC),))
"""A position with a stop, and an order that rests beside it."""


@dataclass
class Desk:
    """The timers of one account, a venue that counts, and a clock that is moved by hand."""

    policy: Policy = field(default_factory=a_policy)
    watched: bool = False
    maintenance: frozenset[str] = frozenset()
    at: float = 100.0
    calls: list[tuple[str, int]] = field(default_factory=list)
    trouble: VenueTrouble | None = None
    answers_lost: bool = False
    standing: dict[str, float] = field(default_factory=dict)
    """At the venue: when each timer runs out."""

    def __post_init__(self) -> None:
        self.book = a_book()
        self.timers = VenueTimers(
            account="main",
            timer=self,
            book=lambda: self.book,
            policy=lambda: self.policy,
            watched=lambda: self.watched,
            in_maintenance=lambda symbol: symbol in self.maintenance,
            monotonic=lambda: self.at,
        )

    async def arm_timer(self, symbol: str, countdown_s: int) -> None:
        self.calls.append((symbol, countdown_s))
        if self.trouble is not None:
            raise self.trouble
        self.standing[symbol] = self.at + countdown_s
        if countdown_s == 0:
            del self.standing[symbol]
        if self.answers_lost:
            raise VenueUnavailable("no answer within 5 s")

    async def after(self, seconds: float, book: Account | None = None) -> list[tuple[str, int]]:
        """What is sent to the venue when so much time has gone by, and the book is this one."""
        self.at += seconds
        self.book = book if book is not None else self.book
        self.calls.clear()
        await self.timers.turn(self.book)
        return sorted(self.calls)


async def test_a_timer_stands_while_orders_rest_and_is_armed_anew_after_a_third() -> None:
    desk = Desk()
    await desk.after(0)
    assert await desk.after(1, a_book(an_order(BTC), an_order(ETH))) == [(BTC, 60), (ETH, 60)]
    assert await desk.after(19) == []
    assert await desk.after(1) == [(BTC, 60), (ETH, 60)]
    assert desk.timers.armed == (BTC, ETH)


async def test_it_stands_before_the_order_rests() -> None:
    desk = Desk()
    await desk.after(0)
    desk.timers.intended(BTC)
    assert await desk.after(0.5) == [(BTC, 60)]


async def test_a_symbol_that_is_quiet_loses_it() -> None:
    desk = Desk()
    await desk.after(0)
    await desk.after(1, a_book(an_order(BTC)))
    assert await desk.after(10, a_book()) == [], "orders come and go"
    assert await desk.after(11) == [(BTC, 0)]
    assert await desk.after(30) == []
    assert desk.timers.armed == ()


async def test_a_position_that_relies_on_its_stop_has_none() -> None:
    desk = Desk()
    await desk.after(0)
    assert await desk.after(1, STOPPED_OUT) == []


async def test_a_watchdog_on_another_host_lets_it_stand_and_its_loss_takes_it_away() -> None:
    desk = Desk(watched=True)
    await desk.after(0)
    assert await desk.after(1, STOPPED_OUT) == [(BTC, 60)]
    desk.watched = False
    assert await desk.after(0.5) == [(BTC, 0)]


async def test_a_stop_placed_later_takes_it_away() -> None:
    desk = Desk()
    await desk.after(0)
    assert await desk.after(1, a_book(an_order(BTC), positions=(a_long(BTC),))) == [(BTC, 60)]
    assert await desk.after(1, STOPPED_OUT) == [(BTC, 0)]


async def test_a_stop_without_a_position_is_an_order_like_any_other() -> None:
    desk = Desk()
    await desk.after(0)
    stop = an_order(BTC, OrderType.STOP_MARKET, reduce_only=True)
    assert await desk.after(1, a_book(stop, an_order(BTC))) == [(BTC, 60)]
    assert await desk.after(40, a_book(stop)) == [(BTC, 0)], "it keeps no timer by itself"


@pytest.mark.parametrize(("countdown_s", "stands"), [(37, False), (38, True)])
def test_the_watchdog_has_to_be_done_before_the_timer_runs_out(countdown_s: int, stands: bool) -> None:
    """Two thirds of the countdown are left at worst; ten seconds of silence and fifteen of flattening must fit in."""
    kill = a_policy(f"[kill.dead_man]\ncountdown_s = {countdown_s}\n").kill
    assert may_stand(BTC, STOPPED_OUT, kill, watched_from_elsewhere=True) is stands


async def test_a_planned_stop_spares_the_stops_and_lets_the_rest_run_out() -> None:
    desk = Desk(watched=True)
    await desk.after(0)
    await desk.after(1, replace(STOPPED_OUT, open_orders=(*STOPPED_OUT.open_orders, an_order(ETH))))
    desk.calls.clear()
    await desk.timers.leave()
    assert desk.calls == [(BTC, 0)]


async def test_a_new_warden_takes_away_what_an_earlier_one_may_have_left() -> None:
    desk = Desk()
    assert await desk.after(0, replace(STOPPED_OUT, open_orders=(*STOPPED_OUT.open_orders, an_order(ETH)))) == [
        (BTC, 0),
        (ETH, 60),
    ]


@pytest.mark.parametrize(
    ("text", "maintenance"),
    [
        ("[kill.dead_man]\npaused = true\n", frozenset()),
        ("[kill.dead_man]\nenabled = false\n", frozenset()),
        ("", frozenset({BTC})),
    ],
)
async def test_paused_or_off_or_in_maintenance_there_is_none(text: str, maintenance: frozenset[str]) -> None:
    desk = Desk()
    await desk.after(0)
    await desk.after(1, a_book(an_order(BTC)))
    desk.policy, desk.maintenance = a_policy(text), maintenance
    assert await desk.after(1) == [(BTC, 0)]
    assert await desk.after(60) == []


async def test_the_maintenance_of_one_symbol_takes_no_other_s_timer() -> None:
    desk = Desk(maintenance=frozenset({ETH}))
    await desk.after(0)
    assert await desk.after(1, a_book(an_order(BTC), an_order(ETH))) == [(BTC, 60)]


def test_maintenance_begins_as_long_ahead_as_the_rule_says() -> None:
    policy = a_policy(
        '[desk.maintenance_window]\nenforcement = "enforce"\nahead_s = 600\n'
        "windows = [{ begins = 2026-11-27T12:10:00Z, ends = 2026-11-27T13:00:00Z }]\n"
    )
    moments = (-1, 0, 3_599, 3_600)
    found = [in_maintenance(policy.rules, "main", BTC, NOW + timedelta(seconds=each)) for each in moments]
    assert found == [False, True, True, False]


async def test_no_timer_stands_that_could_not_be_armed_anew_in_time() -> None:
    desk = Desk()
    await desk.after(0)
    symbols = [f"S{number:02}USDT" for number in range(30)]
    room = CALLS_PER_MINUTE * 20 // 60
    assert len(await desk.after(1, a_book(*map(an_order, symbols)))) == room == 20
    for _ in range(12):
        assert len(await desk.after(20)) == room, "all of them, again and again"
    kept = set(desk.timers.armed)
    await desk.after(1, a_book(*map(an_order, ("A0USDT", *symbols))))
    assert set(desk.timers.armed) == kept, "one more takes nobody's place"


async def test_a_timer_whose_answer_was_lost_is_taken_away_when_it_is_unwanted() -> None:
    desk = Desk(answers_lost=True)
    await desk.after(0)
    desk.timers.intended(BTC)
    assert await desk.after(0.5) == [(BTC, 60)]
    assert desk.timers.armed == (), "nobody knows that it stands"
    desk.answers_lost = False
    assert await desk.after(2, STOPPED_OUT) == [(BTC, 0)]
    assert desk.standing == {}


async def test_a_planned_stop_takes_away_what_may_stand() -> None:
    desk = Desk(answers_lost=True, watched=True)
    await desk.after(0)
    await desk.after(1, STOPPED_OUT)
    desk.answers_lost = False
    await desk.timers.leave()
    assert desk.standing == {}


@pytest.mark.parametrize("taken_up", [False, True])
async def test_a_refused_disarm_is_tried_again_before_the_timer_runs_out(taken_up: bool) -> None:
    desk = Desk()
    if not taken_up:
        await desk.after(0)
        await desk.after(1, a_book(an_order(BTC)))
    desk.trouble = VenueRefused(-1021, "Timestamp for this request is outside of the recvWindow.")
    assert await desk.after(1, STOPPED_OUT) == [(BTC, 0)]
    assert await desk.after(9) == []
    assert await desk.after(1) == [(BTC, 0)]
    desk.trouble = None
    assert await desk.after(10) == [(BTC, 0)]
    assert desk.standing == {}


async def test_a_lost_arm_is_remembered_through_a_refused_disarm() -> None:
    desk = Desk(answers_lost=True)
    await desk.after(0)
    await desk.after(1, a_book(an_order(BTC)))
    desk.trouble = VenueRefused(-1021, "Timestamp for this request is outside of the recvWindow.")
    await desk.after(1, STOPPED_OUT)
    desk.trouble, desk.answers_lost = None, False
    await desk.after(10)
    assert desk.standing == {}


@pytest.mark.parametrize(("code", "seconds", "kept"), [(-1021, 59, True), (-1021, 60, False), (-1121, 1, False)])
async def test_a_refused_timer_is_forgotten_when_it_has_run_out_or_has_no_symbol(
    code: int, seconds: float, kept: bool
) -> None:
    desk = Desk()
    await desk.after(0)
    await desk.after(1, a_book(an_order(BTC)))
    desk.trouble = VenueRefused(code, "no")
    await desk.after(seconds, STOPPED_OUT)
    assert desk.timers.armed == ((BTC,) if kept else ())


async def test_a_refused_arm_of_a_running_timer_is_tried_again_before_it_runs_out() -> None:
    desk = Desk()
    await desk.after(0)
    await desk.after(1, a_book(an_order(BTC)))
    desk.trouble = VenueRefused(-1021, "Timestamp for this request is outside of the recvWindow.")
    sent = [await desk.after(5) for _ in range(12)]
    assert [5 * number for number, calls in enumerate(sent, start=1) if calls] == [20, 30, 40, 50, 60]
    assert desk.timers.armed == (), "by then it has run out"


async def test_another_countdown_goes_out_before_the_running_timers_run_out() -> None:
    desk = Desk()
    await desk.after(0)
    await desk.after(1, a_book(an_order(BTC)))
    desk.policy = a_policy("[kill.dead_man]\ncountdown_s = 300\n")
    assert await desk.after(1) == [(BTC, 300)]
    assert await desk.after(99) == []
    assert await desk.after(1) == [(BTC, 300)]


async def test_a_throttled_venue_is_left_alone_and_a_refusal_waits() -> None:
    desk = Desk()
    desk.trouble = VenueRefused(-1121, "Invalid symbol.")
    await desk.after(0)
    assert await desk.after(1, a_book(an_order(BTC))) == [(BTC, 60)]
    assert await desk.after(19) == []
    assert await desk.after(1) == [(BTC, 60)]
    desk.trouble = VenueThrottled(429, 30)
    await desk.after(20)
    assert desk.timers.armed == ()
    assert desk.timers.paused_until == desk.at + 30
