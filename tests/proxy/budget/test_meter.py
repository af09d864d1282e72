"""Bots stop at the reserve; whoever need not spare the kill never does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from proxy.budget.meter import Meter, Payer
from proxy.budget.published import Budget, Counter, Limit
from proxy.warden.sight import BUDGET_SHARE
from rules.kill.budget import Spend

NOON = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
BOT = Payer("main", "")
READ = Spend(weight=40)
ORDER = Spend(orders=1)


@dataclass
class Clock:
    at: datetime = field(default=NOON + timedelta(seconds=5))

    def now(self) -> datetime:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def heard(meter: Meter, weight: int = 0, orders: int = 0, payer: Payer = BOT) -> None:
    """The venue says its counters."""
    reported = {Limit.WEIGHT_1M: weight, Limit.ORDERS_10S: orders, Limit.ORDERS_1M: orders}
    meter.begin(payer, Spend()).end(reported)


def test_bots_may_spend_up_to_the_reserve() -> None:
    meter = Meter(Clock().now)
    heard(meter, weight=1_880)
    assert meter.kept(BOT, READ) is None
    heard(meter, weight=1_881)
    kept = meter.kept(BOT, READ)
    assert kept is not None
    assert (kept.used, kept.limit, kept.reserve, kept.retry_after_s) == (1_881, 2_400, 480, 55)
    assert str(kept) == "1881 of 2400 weight-1m are used and 480 are kept for the kill; try again in 55 s"


def test_the_share_that_is_used_is_of_what_bots_may_spend() -> None:
    meter = Meter(Clock().now)
    heard(meter, weight=960)
    assert meter.shares()["weight-1m:"] == 0.5
    meter.budget = Budget(reserves={"weight-1m:": 1_440})
    assert meter.shares()["weight-1m:"] == 1.0


def test_bots_that_are_made_to_wait_have_used_enough_of_it_for_an_alert() -> None:
    for reserve in (480, 1_200):
        meter = Meter(Clock().now, others=3)
        meter.budget = Budget(reserves={"weight-1m:": reserve})
        while meter.kept(BOT, READ) is None:
            meter.begin(BOT, READ).end({})
        assert meter.shares()["weight-1m:"] >= BUDGET_SHARE


def test_a_new_minute_of_the_venue_gives_everything_back() -> None:
    clock = Clock()
    meter = Meter(clock.now)
    heard(meter, weight=2_400)
    assert meter.kept(BOT, READ) is not None
    clock.pass_s(55)
    assert meter.kept(BOT, READ) is None


def test_orders_are_counted_by_account_and_only_asked_of_what_places_some() -> None:
    meter = Meter(Clock().now)
    heard(meter, orders=240)
    kept = meter.kept(BOT, ORDER)
    assert kept is not None and kept.counter == Counter(Limit.ORDERS_10S, "main")
    assert kept.retry_after_s == 5
    assert meter.kept(BOT, READ) is None
    assert meter.kept(Payer("other"), ORDER) is None


def test_weight_is_counted_by_address() -> None:
    meter = Meter(Clock().now)
    heard(meter, weight=2_000)
    assert meter.kept(Payer("other"), READ) is not None, "the same address"
    assert meter.kept(Payer("main", "127.0.0.2"), READ) is None


def test_an_order_that_weighs_nothing_is_refused_once_the_reserve_is_touched() -> None:
    meter = Meter(Clock().now)
    heard(meter, weight=1_920)
    assert meter.kept(BOT, ORDER) is None
    heard(meter, weight=1_921)
    assert meter.kept(BOT, ORDER) is not None


def test_a_burst_is_stopped_by_what_is_under_way() -> None:
    meter = Meter(Clock().now)
    sent = 0
    while meter.kept(BOT, READ) is None:
        meter.begin(BOT, READ)
        sent += 1
    assert sent == 48, "of 2400, 480 kept"


def test_other_gates_are_taken_to_have_as_much_under_way() -> None:
    meter = Meter(Clock().now, others=1)
    sent = 0
    while meter.kept(BOT, READ) is None:
        meter.begin(BOT, READ)
        sent += 1
    assert 40 < sent < 48
    many = Meter(Clock().now, others=63)
    assert many.kept(BOT, READ) is None, "no more than a tenth is set aside"


def test_what_was_never_sent_is_not_counted() -> None:
    meter = Meter(Clock().now)
    meter.begin(BOT, READ).undo()
    assert meter.used(Counter(Limit.WEIGHT_1M, "")) == 0


def test_what_others_heard_counts_even_before_our_first_request() -> None:
    clock = Clock()
    gate, other = Meter(clock.now), Meter(clock.now)
    heard(gate, weight=2_000, orders=300)
    assert other.kept(BOT, READ) is None
    other.told(gate.seen())
    assert other.kept(BOT, READ) is not None
    assert other.kept(BOT, ORDER) is not None
    other.told({"of-another-version:x": (1, 2)})


def test_the_published_reserve_is_kept_and_what_it_does_not_name_keeps_a_share() -> None:
    meter = Meter(Clock().now)
    meter.budget = Budget(
        limits={Limit.WEIGHT_1M: 1_000}, reserves={"weight-1m:": 700}, share_min=Decimal("0.25"), version=1
    )
    heard(meter, weight=261)
    assert meter.kept(BOT, READ) is not None
    elsewhere = Payer("main", "127.0.0.2")
    heard(meter, weight=710, payer=elsewhere)
    assert meter.kept(elsewhere, READ) is None
    assert meter.budget.reserve(Counter(Limit.ORDERS_10S, "main")) == 75


@given(st.lists(st.tuples(st.sampled_from([1, 5, 20, 40]), st.booleans()), max_size=200), st.integers(0, 2_400))
def test_bots_who_ask_never_leave_less_than_the_reserve(reads: list[tuple[int, bool]], elsewhere: int) -> None:
    """Against a venue that counts as Binance does: others spent before, and every answer has the counter or none."""
    meter = Meter(Clock().now)
    heard(meter, weight=elsewhere)
    counted = elsewhere
    for weight, answers in reads:
        if meter.kept(BOT, Spend(weight=weight)) is None:
            charge = meter.begin(BOT, Spend(weight=weight))
            counted += weight
            charge.end({Limit.WEIGHT_1M: counted} if answers else {})
    assert counted <= max(elsewhere, 2_400 - 480)
