"""The venue's filters, told before the venue has to."""

from decimal import Decimal

import pytest

from rules.model import OrderType, Side
from rules.order.instrument_filters import InstrumentFilters
from tests.rules.builders import a_buy, a_cancel, a_close, a_sell, an_account, an_amend

FILTERS = InstrumentFilters()
WORLD = an_account().listing(
    "BTCUSDT",
    quantity_min=Decimal("0.002"),
    quantity_max=Decimal(10),
    market_step_size=Decimal("0.01"),
    market_quantity_min=Decimal("0.01"),
    market_quantity_max=Decimal("1.005"),
    notional_min=Decimal(150),
    price_min=Decimal(1000),
    price_max=Decimal(90_000),
)
STOP = {"order_type": OrderType.STOP_MARKET}


def code(command, world=WORLD):
    breach = FILTERS.check(command, world.snapshot)
    return breach.code if breach is not None else None


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (a_buy("BTCUSDT", "1", "50000.1"), None),
        (a_buy("BTCUSDT", "1", "50000.15"), "PRICE_OFF_TICK"),
        (a_buy("BTCUSDT", "1", "1000"), None),
        (a_buy("BTCUSDT", "1", "999.9"), "PRICE_OUT_OF_RANGE"),
        (a_buy("BTCUSDT", "1", "90000"), None),
        (a_buy("BTCUSDT", "1", "90000.1"), "PRICE_OUT_OF_RANGE"),
        (a_buy("BTCUSDT", "1", **STOP, trigger_price="60000.1"), None),
        (a_buy("BTCUSDT", "1", **STOP, trigger_price="60000.15"), "PRICE_OFF_TICK"),
        (a_buy("BTCUSDT", "1", **STOP, trigger_price="99999"), "PRICE_OUT_OF_RANGE"),
        (a_buy("BTCUSDT", "0.003", "50000"), None),
        (a_buy("BTCUSDT", "0.002", "75000"), None),
        (a_buy("BTCUSDT", "0.002", "74999.9"), "NOTIONAL_TOO_SMALL"),
        (a_buy("BTCUSDT", "0.001", "75000"), "QUANTITY_TOO_SMALL"),
        (a_buy("BTCUSDT", "10", "50000"), None),
        (a_buy("BTCUSDT", "10.001", "50000"), "QUANTITY_TOO_LARGE"),
        (a_buy("BTCUSDT", "1.0005", "50000"), "QUANTITY_OFF_STEP"),
        (a_buy("BTCUSDT", "0.01"), None),
        (a_buy("BTCUSDT", "0.009"), "QUANTITY_TOO_SMALL"),
        (a_buy("BTCUSDT", "0.015"), "QUANTITY_OFF_STEP"),
        (a_buy("BTCUSDT", "1"), None),
        (a_buy("BTCUSDT", "1.01"), "QUANTITY_TOO_LARGE"),
        (an_amend(Side.BUY, "BTCUSDT", "1", "50000.1", order_id="9"), None),
        (an_amend(Side.BUY, "BTCUSDT", "1", "50000.15", order_id="9"), "PRICE_OFF_TICK"),
        (an_amend(Side.BUY, "BTCUSDT", "1.0005", order_id="9"), "QUANTITY_OFF_STEP"),
        (a_close("BTCUSDT"), None),
        (a_cancel(), None),
    ],
)
def test_the_filters_hold_at_their_exact_bounds(command, expected):
    assert code(command) == expected


def test_a_market_order_is_worth_the_mark():
    cheap = WORLD.marked("BTCUSDT", "14999.9")
    assert code(a_buy("BTCUSDT", "0.01"), WORLD.marked("BTCUSDT", "15000")) is None
    assert code(a_buy("BTCUSDT", "0.01"), cheap) == "NOTIONAL_TOO_SMALL"
    assert code(a_buy("BTCUSDT", "0.01"), cheap.unmarked("BTCUSDT")) is None


def test_an_unlisted_symbol_is_left_to_the_gate():
    assert code(a_buy("XRPUSDT", "1")) is None


def test_a_venue_without_price_bounds_has_none():
    assert code(a_buy("BTCUSDT", "1", "999999999"), an_account()) is None


@pytest.mark.parametrize(
    ("command", "headroom"),
    [
        (a_buy("BTCUSDT", "0.001", "75000"), "0"),
        (a_buy("BTCUSDT", "10.001", "50000"), "10"),
        (a_buy("BTCUSDT", "5"), "1"),
        (a_buy("BTCUSDT", "1.0005", "50000"), "1"),
        (a_buy("BTCUSDT", "0.0025", "75000"), "0.002"),
        (a_buy("BTCUSDT", "0.002", "70000"), "0"),
    ],
)
def test_the_nearest_size_that_passes_is_told(command, headroom):
    assert FILTERS.check(command, WORLD.snapshot).headroom == Decimal(headroom)


def test_the_smallest_quantity_is_advised():
    found = FILTERS.check(a_sell("BTCUSDT", "0.001", "75000"), WORLD.snapshot)
    assert found.advice == "the smallest quantity is 0.002"


@pytest.mark.parametrize(
    ("command", "message", "observed", "limit"),
    [
        (a_buy("BTCUSDT", "1", "50000.15"), "price 50000.15 is not a multiple of the tick", "50000.15", "0.1"),
        (a_buy("BTCUSDT", "1", "900"), "price 900 is outside the venue's range", "900", "1000 to 90000"),
        (a_buy("BTCUSDT", "0.001", "75000"), "quantity 0.001 is below the venue's minimum", "0.001", "0.002"),
        (a_buy("BTCUSDT", "0.009"), "quantity 0.009 is below the venue's minimum", "0.009", "0.01"),
        (a_buy("BTCUSDT", "10.001", "50000"), "quantity 10.001 is above the venue's maximum", "10.001", "10"),
        (a_buy("BTCUSDT", "5"), "quantity 5 is above the venue's maximum", "5", "1.005"),
        (a_buy("BTCUSDT", "1.0005", "50000"), "quantity 1.0005 is not a multiple of the step", "1.0005", "0.001"),
        (a_buy("BTCUSDT", "0.015"), "quantity 0.015 is not a multiple of the step", "0.015", "0.01"),
        (a_buy("BTCUSDT", "0.002", "70000"), "order is worth 140, below the venue's minimum", "140", "150"),
    ],
)
def test_what_was_sent_and_what_the_venue_takes_are_told(command, message, observed, limit):
    found = FILTERS.check(command, WORLD.snapshot)
    assert (found.message, found.observed, found.limit) == (message, observed, limit)


@pytest.mark.parametrize(
    ("bounds", "price", "limit"),
    [
        ({"price_min": Decimal(1000)}, "900", "1000 to any"),
        ({"price_max": Decimal(90_000)}, "90000.1", "0 to 90000"),
    ],
)
def test_a_bound_that_the_venue_does_not_set_is_told_so(bounds, price, limit):
    found = FILTERS.check(a_buy("BTCUSDT", "1", price), an_account().listing("BTCUSDT", **bounds).snapshot)
    assert (found.code, found.limit) == ("PRICE_OUT_OF_RANGE", limit)


def test_off_the_step_with_no_step_above_the_minimum_leaves_no_size():
    world = an_account().listing("BTCUSDT", quantity_min=Decimal("0.0015"))
    found = FILTERS.check(a_buy("BTCUSDT", "0.0017", "75000"), world.snapshot)
    assert (found.code, found.headroom) == ("QUANTITY_OFF_STEP", 0)


def test_what_is_off_the_step_fits_when_rounded_down_to_the_step_of_its_own_kind():
    market, limit = (FILTERS.check(a_buy("BTCUSDT", "1.0005", *price), WORLD.snapshot) for price in ((), ("50000",)))
    assert (market.headroom, limit.headroom) == (Decimal("1.00"), Decimal("1.000"))
    assert FILTERS.check(a_buy("BTCUSDT", "0.015"), WORLD.snapshot).headroom == Decimal("0.01")
