"""The judge of the automatic triggers: what confirms what, what is never enough, and what is said only once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.kill.evidence import AccountSeen, Evidence, ForecastSeen, LegSeen, OrdersSeen, Results
from rules.kill.settings import Triggers
from rules.kill.triggers import Action, Ruling, Tally, Trigger, judge
from rules.model import PositionSide

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SETTINGS = Triggers(
    daily_loss_reduce=Decimal("0.06"),
    daily_loss_kill=Decimal("0.10"),
    drawdown_reduce=Decimal("0.20"),
    drawdown_kill=Decimal("0.30"),
    liquidation_sigmas_reduce=Decimal(4),
    liquidation_sigmas_kill=Decimal(2),
    liquidation_probability_reduce=Decimal("0.05"),
    liquidation_probability_kill=Decimal("0.20"),
    unread_reduce_s=120,
    unread_kill_s=600,
    unrecorded_orders_kill=3,
    outside_orders_kill=5,
    anomaly_reduce=Decimal("0.95"),
    anomaly_for_s=30,
)


def a_leg(notional: str = "5000", **changes: Any) -> LegSeen:
    known = {"distance": Decimal("0.3"), "volatility": Decimal("0.01")} | changes
    return LegSeen(symbol="BTCUSDT", position_side=PositionSide.BOTH, notional=Decimal(notional), **known)


def seen(equity: str = "10000", *legs: LegSeen, at: datetime = NOW) -> AccountSeen:
    return AccountSeen(as_of=at, equity=Decimal(equity), legs=legs or (a_leg(),))


def made(day: str, *, equity: str | None = None, rolling: str | None = None, peak: str = "10000") -> Results:
    now = Decimal(equity) if equity is not None else 10_000 + Decimal(day)
    return Results(as_of=NOW, day=Decimal(day), rolling=Decimal(rolling or day), equity=now, equity_peak=Decimal(peak))


def quiet(**changes: Any) -> Evidence:
    known = {"book": seen(), "results": made("0")} | changes
    return Evidence(at=NOW, account="main", **known)


def later(evidence: Evidence, seconds: float) -> Evidence:
    """The same, seen anew: every source has been read again."""
    by = timedelta(seconds=seconds)
    parts = {
        name: replace(part, as_of=part.as_of + by)
        for name in ("book", "reading", "results", "forecast")
        if (part := getattr(evidence, name)) is not None
    }
    return replace(evidence, at=evidence.at + by, **parts)


def ruled(evidence: Evidence, looks: int = 3, settings: Triggers = SETTINGS, every_s: float = 2) -> list[Ruling]:
    """What is ruled at each look at ever newer evidence of the same kind."""
    tally, rulings = Tally(), []
    for number in range(looks):
        tally, ruling = judge(tally, later(evidence, number * every_s), settings)
        rulings.append(ruling)
    return rulings


def actions(evidence: Evidence, looks: int = 3, settings: Triggers = SETTINGS) -> list[Action]:
    return [ruling.action for ruling in ruled(evidence, looks, settings)]


NONE, REDUCE, KILL = Action.NONE, Action.REDUCE, Action.KILL
LOST = quiet(results=made("-1200"), reading=seen("8800"))


def test_a_quiet_account_is_left_alone() -> None:
    assert actions(quiet(), 5) == [NONE] * 5


def test_a_loss_that_both_sources_show_three_times_kills() -> None:
    assert actions(LOST) == [NONE, NONE, KILL]
    ruling = ruled(LOST)[-1]
    assert (ruling.trigger, ruling.confirmations) == (Trigger.DAILY_LOSS, 3)
    assert ruling.reason == "12 % of the equity is lost in a day, and the venue says the same"


def test_a_loss_that_only_the_record_shows_reduces_and_asks_for_a_reading() -> None:
    rulings = ruled(replace(LOST, reading=None), 6)
    assert [each.action for each in rulings] == [NONE, NONE, REDUCE, NONE, NONE, NONE]
    assert all(each.look for each in rulings)
    assert actions(replace(LOST, reading=seen("9990")), 6) == [NONE, NONE, REDUCE, NONE, NONE, NONE]


def test_a_loss_that_only_the_venue_shows_is_nothing() -> None:
    assert actions(quiet(reading=seen("5000")), 6) == [NONE] * 6


def test_yesterdays_loss_counts_within_24_hours() -> None:
    assert actions(quiet(results=made("0", equity="8800", rolling="-1200"), reading=seen("8800")))[-1] is KILL


def test_one_reading_seen_three_times_confirms_once() -> None:
    tally = Tally()
    for _ in range(10):
        tally, ruling = judge(tally, LOST, SETTINGS)
        assert ruling.action is NONE


def test_a_wick_between_two_quiet_readings_starts_anew() -> None:
    tally, calm = Tally(), quiet(reading=seen())
    for number, evidence in enumerate((LOST, LOST, calm, LOST, LOST)):
        tally, ruling = judge(tally, later(evidence, number * 2), SETTINGS)
        assert ruling.action is NONE


def test_old_facts_confirm_nothing() -> None:
    old = NOW - timedelta(seconds=31)
    assert actions(replace(LOST, results=replace(made("-1200"), as_of=old)), 6) == [NONE] * 6
    assert KILL not in actions(replace(LOST, reading=seen("8800", at=old)), 6)


def test_a_gap_between_confirmations_that_is_too_long_starts_anew() -> None:
    assert [ruling.action for ruling in ruled(LOST, 3, every_s=2)] == [NONE, NONE, KILL]
    tally, _ = judge(Tally(), LOST, SETTINGS)
    tally, _ = judge(tally, later(LOST, 2), SETTINGS)
    blind = replace(later(LOST, 40), results=None, reading=None, book=None)
    tally, _ = judge(tally, blind, SETTINGS)
    assert judge(tally, later(LOST, 41), SETTINGS)[1].action is NONE


def test_a_flat_account_and_dust_are_not_killed_for_a_loss() -> None:
    flat = replace(LOST, book=replace(seen(), legs=()), reading=replace(seen("8800"), legs=()))
    assert KILL not in actions(flat, 6)
    assert not any(ruling.look for ruling in ruled(flat, 3))
    assert KILL not in actions(replace(LOST, reading=seen("8800", a_leg("87"))), 6)
    assert KILL in actions(replace(LOST, reading=seen("8800", a_leg("89"))), 6)


def test_a_leg_that_is_not_quoted_in_dollars_is_no_dust() -> None:
    """80 ETHBTC at 0.03 are 2.4 in their own currency, and 216,000 in dollars."""
    in_btc = a_leg("2.4", at_par=False)
    reading = seen("8800", a_leg("2.4"))
    assert KILL in actions(replace(LOST, book=seen("8800", in_btc), reading=reading), 6)
    assert KILL not in actions(replace(LOST, book=seen("8800", replace(in_btc, symbol="ETHBTC")), reading=reading), 6)
    assert KILL not in actions(replace(LOST, book=None, reading=reading), 6)


def test_an_account_below_zero_is_killed() -> None:
    assert actions(quiet(results=made("-12000"), reading=seen("-2000")))[-1] is KILL


def test_drawdown_is_measured_from_the_peak() -> None:
    lost = quiet(results=made("0", equity="6900"), reading=seen("6900"))
    assert ruled(lost)[-1].trigger is Trigger.DRAWDOWN and actions(lost)[-1] is KILL
    assert actions(quiet(results=made("0", equity="7900"), reading=seen("7900")))[-1] is REDUCE


def near(own: str, venue: str | None, **more: Any) -> Evidence:
    reading = None if venue is None else seen("10000", a_leg(distance=Decimal(venue), volatility=None))
    return quiet(book=seen("10000", a_leg(distance=Decimal(own))), reading=reading, **more)


@pytest.mark.parametrize(
    ("own", "venue", "last"),
    [
        ("0.041", "0.01", NONE),
        ("0.039", "0.01", REDUCE),
        ("0.019", None, REDUCE),
        ("0.019", "0.06", REDUCE),
        ("0.019", "0.05", KILL),
        ("-0.01", "0.00", KILL),
    ],
)
def test_liquidation_takes_the_guards_arithmetic_and_the_venues_price(
    own: str, venue: str | None, last: Action
) -> None:
    assert actions(near(own, venue))[-1] is last


def test_a_leg_whose_volatility_is_not_known_is_not_judged() -> None:
    legs = (a_leg(distance=Decimal("0.001"), volatility=None),)
    assert actions(quiet(book=seen("10000", *legs), reading=seen("10000", *legs)), 6) == [NONE] * 6


def test_the_venue_must_say_it_of_the_same_symbol() -> None:
    other = replace(a_leg(distance=Decimal("0.001")), symbol="ETHUSDT")
    evidence = replace(near("0.019", "0.01"), reading=seen("10000", other))
    assert KILL not in actions(evidence, 6)


def test_a_forecast_and_the_distance_count_each_for_itself() -> None:
    stated = ForecastSeen(as_of=NOW, probability=Decimal("0.20"), symbol="BTCUSDT")
    assert actions(near("0.30", "0.04", forecast=stated))[-1] is KILL
    assert actions(near("0.30", "0.04", forecast=replace(stated, probability=Decimal("0.05"))))[-1] is REDUCE
    old = replace(stated, as_of=NOW - timedelta(minutes=5))
    assert actions(near("0.30", "0.04", forecast=old))[-1] is NONE


def test_a_low_forecast_does_not_silence_a_short_distance() -> None:
    low = ForecastSeen(as_of=NOW, probability=Decimal("0.01"), symbol="ETHUSDT")
    assert actions(near("0.001", "0.001", forecast=low))[-1] is KILL
    only_sigmas = replace(SETTINGS, liquidation_probability_reduce=None, liquidation_probability_kill=None)
    assert actions(near("0.001", "0.001", forecast=low), 6, only_sigmas)[-1] is KILL
    only_forecasts = replace(SETTINGS, liquidation_sigmas_reduce=None, liquidation_sigmas_kill=None)
    assert actions(near("0.001", "0.001", forecast=low), 6, only_forecasts)[-1] is NONE
    assert actions(near("0.001", "0.001"), 6, only_forecasts)[-1] is NONE


def test_the_second_source_must_say_it_of_the_symbol_that_reached_the_limit() -> None:
    other = ForecastSeen(as_of=NOW, probability=Decimal("0.20"), symbol="ETHUSDT")
    assert KILL not in actions(near("0.30", "0.01", forecast=other), 6)
    account = replace(other, symbol="")
    assert KILL in actions(near("0.30", "0.01", forecast=account), 6)


def unread(seconds: float, reading: AccountSeen | None, *legs: LegSeen) -> Evidence:
    book = replace(seen(at=NOW - timedelta(seconds=seconds)), legs=legs)
    return quiet(book=book, results=None, reading=reading)


@pytest.mark.parametrize(
    ("seconds", "reading", "last"),
    [
        (119, seen(), NONE),
        (120, None, REDUCE),
        (599, seen(), REDUCE),
        (600, None, REDUCE),
        (600, seen(), KILL),
        (600, replace(seen(), legs=()), REDUCE),
        (600, seen(at=NOW - timedelta(seconds=31)), REDUCE),
    ],
)
def test_what_cannot_be_followed_is_reduced_and_killed_only_on_a_fresh_reading(
    seconds: float, reading: AccountSeen | None, last: Action
) -> None:
    assert actions(unread(seconds, reading, a_leg()))[-1] is last


def test_an_account_without_positions_may_be_silent() -> None:
    assert actions(unread(9_999, seen()), 6) == [NONE] * 6


def test_orders_nobody_recorded_reduce_at_one_and_kill_at_their_number() -> None:
    for count, expected in ((0, NONE), (1, REDUCE), (2, REDUCE), (3, KILL)):
        assert actions(quiet(unrecorded=OrdersSeen(count=count, newest=NOW)), 1) == [expected], count
    assert actions(quiet(outside=OrdersSeen(count=4, newest=NOW)), 1) == [NONE]
    assert actions(quiet(outside=OrdersSeen(count=5, newest=NOW)), 1) == [KILL]


def test_the_same_orders_do_not_kill_again_and_a_newer_one_does() -> None:
    tally, ruling = judge(Tally(), found := quiet(outside=OrdersSeen(count=5, newest=NOW)), SETTINGS)
    tally, again = judge(tally, later(found, 60), SETTINGS)
    newer = replace(later(found, 61), outside=OrdersSeen(count=6, newest=NOW + timedelta(seconds=61)))
    assert (ruling.action, again.action, judge(tally, newer, SETTINGS)[1].action) == (KILL, NONE, KILL)


def test_an_anomaly_has_to_last_and_never_kills() -> None:
    high = quiet(anomaly=Decimal("0.95"))
    rulings = ruled(high, 40, every_s=1)
    assert [number for number, each in enumerate(rulings) if each.action is not NONE] == [30]
    assert rulings[30].action is REDUCE


def test_a_reduction_is_ruled_once_until_its_condition_was_gone_for_a_while() -> None:
    lost, calm = quiet(results=made("-700")), quiet()
    tally = Tally()
    fired = []
    for second in range(0, 3_000, 2):
        evidence = calm if second % 600 >= 580 or 1_200 <= second < 1_900 else lost
        tally, ruling = judge(tally, later(evidence, second), SETTINGS)
        if ruling.action is not NONE:
            fired.append(second)
    assert fired == [4, 1_904]


def reduced() -> Tally:
    """A loss has reduced the account, at the third look, four seconds on."""
    tally = Tally()
    for number in range(3):
        tally, ruling = judge(tally, later(quiet(results=made("-700")), number * 2), SETTINGS)
    assert ruling.action is REDUCE
    return tally


def test_a_ruled_reduction_is_remembered_while_it_is_calm_for_ten_minutes() -> None:
    def known(seconds: float) -> bool:
        tally, _ = judge(reduced(), later(quiet(), 4 + seconds), SETTINGS)
        return tally.of(Trigger.DAILY_LOSS, REDUCE) is not None

    assert [known(seconds) for seconds in (0, 600, 601)] == [True, True, False]


def test_a_count_that_has_ruled_nothing_or_kills_ends_with_its_condition() -> None:
    tally, _ = judge(Tally(), LOST, SETTINGS)
    assert tally.of(Trigger.DAILY_LOSS, REDUCE) is not None and tally.of(Trigger.DAILY_LOSS, KILL) is not None
    tally, _ = judge(tally, later(quiet(reading=seen()), 2), SETTINGS)
    assert tally == Tally()
    killed = Tally()
    for number in range(3):
        killed, ruling = judge(killed, later(LOST, number * 2), SETTINGS)
    assert ruling.action is KILL
    killed, _ = judge(killed, later(quiet(reading=seen()), 6), SETTINGS)
    assert killed.of(Trigger.DAILY_LOSS, KILL) is None


def test_a_count_waits_for_a_source_as_long_as_its_facts_are_fresh() -> None:
    tally, _ = judge(Tally(), quiet(results=made("-700")), SETTINGS)

    def known(seconds: float) -> bool:
        blind = Evidence(at=NOW + timedelta(seconds=seconds), account="main")
        return judge(tally, blind, SETTINGS)[0].of(Trigger.DAILY_LOSS, REDUCE) is not None

    assert [known(seconds) for seconds in (1, 30, 31)] == [True, True, False]


def test_what_cannot_be_said_begins_no_count() -> None:
    assert judge(Tally(), Evidence(at=NOW, account="main"), SETTINGS)[0] == Tally()


def test_of_two_conditions_only_the_one_that_is_due_has_ruled() -> None:
    orders = quiet(results=made("-700"), unrecorded=OrdersSeen(count=1, newest=NOW))
    tally, ruling = judge(Tally(), orders, SETTINGS)
    assert (ruling.action, ruling.trigger) == (REDUCE, Trigger.UNRECORDED_ORDERS)
    loss, found = tally.of(Trigger.DAILY_LOSS, REDUCE), tally.of(Trigger.UNRECORDED_ORDERS, REDUCE)
    assert loss is not None and loss.ruled is None
    assert found is not None and found.ruled == NOW


def test_what_is_not_written_is_not_watched() -> None:
    everything = replace(
        LOST,
        unrecorded=OrdersSeen(count=99, newest=NOW),
        outside=OrdersSeen(count=99, newest=NOW),
        anomaly=Decimal(1),
        forecast=ForecastSeen(as_of=NOW, probability=Decimal(1)),
    )
    assert actions(everything, 6, Triggers()) == [NONE] * 6


@pytest.mark.parametrize(
    "wrong",
    [
        {"daily_loss_reduce": Decimal("0.2"), "daily_loss_kill": Decimal("0.1")},
        {"liquidation_sigmas_reduce": Decimal(1), "liquidation_sigmas_kill": Decimal(2)},
        {"unread_reduce_s": 2, "unread_kill_s": 1},
    ],
)
def test_the_soft_limit_comes_first(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be reached before"):
        Triggers(**wrong)


AMOUNTS = st.decimals(-20_000, 20_000, places=2)
AGES = st.integers(0, 1_000)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS, AGES, AGES, AGES), min_size=1, max_size=8))
def test_without_a_fresh_reading_nothing_kills_but_orders_nobody_asked_for(looks: list[Any]) -> None:
    tally = Tally()
    for number, (day, equity, book_age, results_age, reading_age) in enumerate(looks):
        at = NOW + timedelta(seconds=number)
        evidence = Evidence(
            at=at,
            account="main",
            book=seen(str(equity), at=at - timedelta(seconds=book_age)),
            reading=seen(str(equity), at=at - timedelta(seconds=31 + reading_age)),
            results=replace(made(str(day)), as_of=at - timedelta(seconds=results_age)),
            anomaly=Decimal(1),
        )
        tally, ruling = judge(tally, evidence, SETTINGS)
        assert ruling.action is not KILL


def test_spans_too_long_to_reckon_with_are_as_long_as_can_be():
    far = replace(SETTINGS, facts_age_max_s=10**17, unread_reduce_s=10**17, unread_kill_s=10**17, anomaly_for_s=10**17)
    tally, ruling = judge(Tally(), quiet(results=made("-2000"), reading=seen("8000")), far)
    assert ruling.action is Action.NONE
    assert judge(tally, later(quiet(results=made("-2000"), reading=seen("8000")), 2), far)[1].action is Action.NONE
