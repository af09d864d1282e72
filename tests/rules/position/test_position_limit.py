"""The largest position one symbol may reach."""

from decimal import Decimal

import pytest

from rules.model import Side
from rules.position.position_limit import PositionLimit
from tests.rules.builders import a_buy, a_sell, an_account, an_open_order, judged

BY_QUANTITY = PositionLimit(limit_quantity=Decimal(2))
BY_NOTIONAL = PositionLimit(limit_notional=Decimal(100_000))


def code(rule, command, world):
    breach = rule.check(command, world.snapshot)
    return breach.code if breach is not None else None


@pytest.mark.parametrize("rule", [BY_QUANTITY, BY_NOTIONAL], ids=["quantity", "notional"])
@pytest.mark.parametrize("order", [a_buy, a_sell], ids=["buy", "sell"])
def test_the_limit_itself_is_allowed_and_one_lot_more_is_not(rule, order):
    held = an_account().long("BTCUSDT", "1.5") if order is a_buy else an_account().short("BTCUSDT", "1.5")
    assert code(rule, order("BTCUSDT", "0.5"), held) is None
    assert code(rule, order("BTCUSDT", "0.501"), held) == "POSITION_ABOVE_LIMIT"


@pytest.mark.parametrize("rule", [BY_QUANTITY, BY_NOTIONAL], ids=["quantity", "notional"])
def test_the_headroom_fills_the_limit_exactly(rule):
    world = an_account().long("BTCUSDT", "1.5")
    assert judged(a_buy("BTCUSDT", "1"), world, rule).headroom == Decimal("0.5")


def test_resting_and_held_orders_take_room():
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000")).holding(a_buy("BTCUSDT", "0.5"))
    assert code(BY_QUANTITY, a_buy("BTCUSDT", "0.5"), world) is None
    assert code(BY_QUANTITY, a_buy("BTCUSDT", "0.501"), world) == "POSITION_ABOVE_LIMIT"


def test_the_other_symbols_do_not_count():
    assert code(BY_QUANTITY, a_buy("BTCUSDT", "2"), an_account().long("ETHUSDT", "500")) is None


def test_what_is_told_is_the_position_that_could_come():
    breach = BY_QUANTITY.check(a_buy("BTCUSDT", "3"), an_account().snapshot)
    assert (breach.observed, breach.limit, breach.message) == ("3", "2", "BTCUSDT position could reach 3")
    by_notional = PositionLimit(limit_notional=Decimal(50_000))
    breach = by_notional.check(a_buy("BTCUSDT", "2"), an_account().snapshot)
    assert breach.message == "BTCUSDT position could reach 100000.00"


def test_the_stricter_of_both_limits_counts():
    rule = PositionLimit(limit_quantity=Decimal(2), limit_notional=Decimal(50_000))
    assert code(rule, a_buy("BTCUSDT", "1.001"), an_account()) == "POSITION_ABOVE_LIMIT"


def test_each_leg_is_held_against_the_limit():
    world = an_account().hedged().long("BTCUSDT", "2")
    assert code(BY_QUANTITY, a_sell("BTCUSDT", "2", position_side="SHORT"), world) is None
    assert code(BY_QUANTITY, a_sell("BTCUSDT", "2.001", position_side="SHORT"), world) == "POSITION_ABOVE_LIMIT"


def test_a_limit_without_a_number_is_no_limit():
    with pytest.raises(ValueError, match=r"^position_limit needs limit_quantity, limit_notional or another limit$"):
        PositionLimit()


# Long, short and net apart

LONG = PositionLimit(limit_long_notional=Decimal(100_000))
SHORT = PositionLimit(limit_short_notional=Decimal(100_000))
NET = PositionLimit(limit_net_notional=Decimal(100_000))


@pytest.mark.parametrize(
    ("rule", "order", "other", "word"),
    [(LONG, a_buy, a_sell, "long "), (SHORT, a_sell, a_buy, "short ")],
    ids=["long", "short"],
)
def test_one_direction_may_be_limited_alone(rule, order, other, word):
    assert code(rule, order("BTCUSDT", "2"), an_account()) is None
    assert code(rule, other("BTCUSDT", "9"), an_account()) is None
    found = rule.check(order("BTCUSDT", "2.001"), an_account().snapshot)
    assert (found.code, found.observed, found.limit) == ("POSITION_ABOVE_LIMIT", "100050.00", "100000.00")
    assert found.message == f"BTCUSDT {word}position could reach 100050.00"


@pytest.mark.parametrize("order", [a_buy, a_sell], ids=["buy", "sell"])
def test_net_is_limited_either_way(order):
    assert code(NET, order("BTCUSDT", "2"), an_account()) is None
    found = NET.check(order("BTCUSDT", "2.001"), an_account().snapshot)
    assert (found.observed, found.limit) == ("100050.00", "100000.00")
    assert found.message == "BTCUSDT net position could reach 100050.00"


def test_the_other_leg_is_no_credit_to_net():
    world = an_account().hedged().long("BTCUSDT", "2").short("BTCUSDT", "2")
    assert code(NET, a_buy("BTCUSDT", "0.001", position_side="LONG"), world) == "POSITION_ABOVE_LIMIT"


# Of the market

OF_INTEREST = PositionLimit(limit_open_interest=Decimal("0.01"))
OF_VOLUME = PositionLimit(limit_daily_volume=Decimal("0.001"), facts_age_max_s=60)
MARKET = an_account().in_conditions("BTCUSDT", open_interest="200", daily_volume="2000")


@pytest.mark.parametrize(
    ("rule", "words"),
    [(OF_INTEREST, "0.01 of its open interest of 200"), (OF_VOLUME, "0.001 of its daily volume of 2000")],
    ids=["open interest", "volume"],
)
@pytest.mark.parametrize("order", [a_buy, a_sell], ids=["buy", "sell"])
def test_a_position_is_limited_by_the_size_of_its_market(rule, words, order):
    assert code(rule, order("BTCUSDT", "2"), MARKET) is None
    found = rule.check(order("BTCUSDT", "2.001"), MARKET.snapshot)
    assert (found.code, found.observed, found.limit) == ("POSITION_ABOVE_LIMIT", "2.001", "2")
    assert found.message == f"BTCUSDT position could reach 2.001, more than {words}"


def test_the_headroom_fills_the_market_s_share_exactly():
    assert judged(a_buy("BTCUSDT", "9"), MARKET.long("BTCUSDT", "0.5"), OF_INTEREST, OF_VOLUME).headroom == Decimal(
        "1.5"
    )


@pytest.mark.parametrize(
    ("rule", "missing"),
    [(OF_INTEREST, "the open interest of BTCUSDT"), (OF_VOLUME, "the daily volume of BTCUSDT")],
    ids=["open interest", "volume"],
)
def test_a_market_nobody_knows_lets_nothing_in(rule, missing):
    for world in (
        an_account(),
        an_account().in_conditions("BTCUSDT"),
        an_account().in_conditions("ETHUSDT", open_interest="200", daily_volume="2000"),
        an_account().in_conditions("BTCUSDT", open_interest="200", daily_volume="2000", seconds_ago=301),
        an_account().in_conditions("BTCUSDT", open_interest="200", daily_volume="2000", seconds_ago=-301),
    ):
        found = rule.check(a_buy("BTCUSDT", "0.001"), world.snapshot)
        assert (found.code, found.message) == ("FACTS_UNKNOWN", f"{missing} is not known now")


@pytest.mark.parametrize("seconds", [60, -60])
def test_what_is_known_serves_as_long_as_it_may(seconds):
    aged = an_account().in_conditions("BTCUSDT", daily_volume="2000", seconds_ago=seconds)
    assert code(OF_VOLUME, a_buy("BTCUSDT", "2"), aged) is None
    older = an_account().in_conditions("BTCUSDT", daily_volume="2000", seconds_ago=seconds + (1 if seconds > 0 else -1))
    assert code(OF_VOLUME, a_buy("BTCUSDT", "2"), older) == "FACTS_UNKNOWN"


def test_only_the_fact_that_is_asked_for_is_needed():
    assert code(OF_INTEREST, a_buy("BTCUSDT", "1"), an_account().in_conditions("BTCUSDT", open_interest="200")) is None
    assert code(BY_QUANTITY, a_buy("BTCUSDT", "1"), an_account()) is None


def test_both_shares_of_the_market_apply():
    both = PositionLimit(limit_open_interest=Decimal("0.5"), limit_daily_volume=Decimal("0.001"))
    assert code(both, a_buy("BTCUSDT", "2"), MARKET) is None
    assert "daily volume" in both.check(a_buy("BTCUSDT", "2.001"), MARKET.snapshot).message


@pytest.mark.parametrize(
    "field",
    [
        "limit_quantity",
        "limit_notional",
        "limit_long_notional",
        "limit_short_notional",
        "limit_net_notional",
        "limit_open_interest",
        "limit_daily_volume",
    ],
)
def test_any_limit_alone_is_a_limit(field):
    assert getattr(PositionLimit(**{field: Decimal(1)}), field) == 1
