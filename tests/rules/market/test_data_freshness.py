"""Nothing that may add risk passes on what the guard does not know."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.market.data_freshness import DataFreshness
from rules.model import AdjustIsolatedMargin, MarginMode, PositionSide, SetLeverage, SetMarginMode, SetPositionMode
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, an_amend, codes, judged

RULE = DataFreshness()
ENTRY = a_buy("BTCUSDT", "1")


def code(command, world):
    breach = RULE.check(command, world.snapshot)
    return breach.code if breach is not None else None


def test_what_is_known_and_fresh_passes():
    assert code(ENTRY, an_account()) is None


@pytest.mark.parametrize("seconds", [45, -45])
def test_a_survey_may_be_45_seconds_away(seconds):
    assert code(ENTRY, an_account().surveyed(seconds)) is None


@pytest.mark.parametrize("seconds", [45.001, -45.001])
def test_a_survey_further_away_is_stale_in_both_directions(seconds):
    assert code(ENTRY, an_account().surveyed(seconds)) == "ACCOUNT_STALE"


@pytest.mark.parametrize("seconds", [10, -10])
def test_a_mark_may_be_10_seconds_away(seconds):
    assert code(ENTRY, an_account().marked("BTCUSDT", "50000", seconds_ago=seconds)) is None


@pytest.mark.parametrize("seconds", [10.001, -10.001])
def test_a_mark_further_away_is_stale_in_both_directions(seconds):
    assert code(ENTRY, an_account().marked("BTCUSDT", "50000", seconds_ago=seconds)) == "MARKET_STALE"


def test_the_ages_are_told():
    breach = RULE.check(ENTRY, an_account().surveyed(61).snapshot)
    assert (breach.observed, breach.limit) == ("61.0 s", "45 s")
    assert breach.message == "what is known of the account is 61.0 s old"
    assert breach.advice == "reduce-only orders and cancels pass"


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (an_account().without_store(), "STORE_UNAVAILABLE"),
        (an_account().on_another_guards_desk(), "DESK_TAKEN"),
        (an_account().unsurveyed(), "ACCOUNT_UNKNOWN"),
        (an_account().unlisted("BTCUSDT"), "UNKNOWN_SYMBOL"),
        (an_account().before_any_list(), "INSTRUMENTS_UNKNOWN"),
        (an_account().listing("BTCUSDT", trading=False), "SYMBOL_NOT_TRADING"),
        (an_account().unmarked("BTCUSDT"), "MARKET_STALE"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_known_is_named(world, expected):
    assert code(ENTRY, world) == expected
    assert code(an_amend(ENTRY.side, "BTCUSDT", "1", order_id="9"), world) == expected


def test_the_store_is_named_before_the_account():
    assert code(ENTRY, an_account().unsurveyed().without_store()) == "STORE_UNAVAILABLE"


def test_a_position_elsewhere_needs_a_mark_too():
    """Leverage is judged over all positions."""
    assert code(ENTRY, an_account().long("ETHUSDT", "1").unmarked("ETHUSDT")) == "MARKET_STALE"


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "DOGEUSDT"])
@pytest.mark.parametrize("direction", [1, -1], ids=["past", "future"])
def test_the_oldest_and_the_newest_mark_of_all_positions_must_be_fresh(symbol, direction):
    world = an_account().long("BTCUSDT", "1").short("ETHUSDT", "1").long("DOGEUSDT", "1")
    assert code(ENTRY, world.marked(symbol, "1", seconds_ago=10 * direction)) is None
    stale = world.marked(symbol, "1", seconds_ago=10.001 * direction)
    assert code(ENTRY, stale) == "MARKET_STALE"
    assert RULE.check(ENTRY, stale.snapshot).message == f"the mark price of {symbol} is 10.0 s old"


@pytest.mark.parametrize("command", [a_sell("BTCUSDT", "1", reduce_only=True), a_cancel()], ids=["exit", "cancel"])
def test_exits_and_cancels_never_wait_for_data(command):
    assert code(command, replace(an_account().unsurveyed(), instruments={}, markets={}).without_store()) is None


@pytest.mark.parametrize(
    "command",
    [
        SetLeverage(symbol="BTCUSDT", leverage=Decimal(2)),
        SetMarginMode(symbol="BTCUSDT", margin_mode=MarginMode.CROSS),
        SetPositionMode(hedged=True),
        AdjustIsolatedMargin(symbol="BTCUSDT", position_side=PositionSide.BOTH, amount=Decimal(-1)),
    ],
    ids=lambda command: type(command).__name__,
)
def test_settings_wait_for_the_account_and_not_for_marks(command):
    assert code(command, an_account().unsurveyed()) == "ACCOUNT_UNKNOWN"
    assert code(command, an_account().unmarked("BTCUSDT")) is None


def test_settings_of_a_symbol_need_it_listed():
    assert (
        code(SetLeverage(symbol="BTCUSDT", leverage=Decimal(2)), an_account().unlisted("BTCUSDT")) == "UNKNOWN_SYMBOL"
    )


IN_BTC = an_account().listing("BTCUSDT", quote_asset="BTC")
"""A contract whose prices are no dollars, as ETHBTC's are none."""


@pytest.mark.parametrize(
    "command",
    [ENTRY, an_amend(ENTRY.side, "BTCUSDT", "1", order_id="9"), SetLeverage(symbol="BTCUSDT", leverage=Decimal(2))],
    ids=lambda command: type(command).__name__,
)
def test_what_is_not_quoted_in_dollars_is_refused(command):
    breach = RULE.check(command, IN_BTC.snapshot)
    assert (breach.code, breach.observed, breach.limit) == ("QUOTE_NOT_JUDGED", "BTC", "USDT, USDC, FDUSD, BUSD")
    assert breach.message == "BTCUSDT is quoted in BTC, and limits are in dollars"
    assert breach.advice == "reduce-only orders and cancels pass"


def test_so_it_is_under_a_policy_that_does_not_name_the_gate():
    assert codes(judged(ENTRY, IN_BTC)) == ["QUOTE_NOT_JUDGED"]


@pytest.mark.parametrize(
    "command",
    [
        a_sell("BTCUSDT", "1", reduce_only=True),
        a_cancel(),
        SetMarginMode(symbol="BTCUSDT", margin_mode=MarginMode.ISOLATED),
        AdjustIsolatedMargin(symbol="BTCUSDT", position_side=PositionSide.BOTH, amount=Decimal(1)),
    ],
    ids=["exit", "cancel", "margin mode", "margin"],
)
def test_the_ways_out_of_what_is_not_quoted_in_dollars_are_open(command):
    assert codes(judged(command, IN_BTC.long("BTCUSDT", "1"))) == []


@pytest.mark.parametrize("quote", ["USDT", "USDC", "FDUSD", "BUSD", ""])
def test_dollars_pass_and_so_does_what_was_not_told(quote):
    assert code(ENTRY, an_account().listing("BTCUSDT", quote_asset=quote)) is None


@pytest.mark.parametrize("command", [ENTRY, SetLeverage(symbol="BTCUSDT", leverage=Decimal(5))])
def test_an_account_whose_stream_is_in_doubt_takes_no_risk(command):
    world = an_account()
    in_doubt = replace(world, account=replace(world.account, feed_stale=True))
    assert code(command, in_doubt) == "ACCOUNT_FEED_STALE"


@pytest.mark.parametrize("command", [a_cancel(), a_sell("BTCUSDT", "1", reduce_only=True)])
def test_exits_and_cancels_do_not_wait_for_the_stream(command):
    world = an_account().long("BTCUSDT", "1")
    assert code(command, replace(world, account=replace(world.account, feed_stale=True))) is None


WAYS_OUT = "reduce-only orders and cancels pass"
IN_DOUBT = replace(an_account(), account=replace(an_account().account, feed_stale=True))


@pytest.mark.parametrize(
    ("world", "message", "advice"),
    [
        (an_account().without_store(), "the guard cannot reserve exposure right now", WAYS_OUT),
        (an_account().unsurveyed(), "the account has not been surveyed yet", ""),
        (
            IN_DOUBT,
            "the account's private stream is down or has a gap, and no survey has been made since",
            f"{WAYS_OUT}; entries pass again after the next survey",
        ),
        (an_account().unlisted("BTCUSDT"), "the venue lists no instrument BTCUSDT", ""),
        (an_account().listing("BTCUSDT", trading=False), "BTCUSDT is not open for trading", ""),
        (an_account().unmarked("BTCUSDT"), "no mark price of BTCUSDT yet", ""),
    ],
    ids=["store", "account", "stream", "unlisted", "closed", "mark"],
)
def test_what_is_missing_is_told(world, message, advice):
    found = RULE.check(ENTRY, world.snapshot)
    assert (found.message, found.advice) == (message, advice)


def test_how_old_a_mark_may_be_is_told():
    found = RULE.check(ENTRY, an_account().marked("BTCUSDT", "50000", seconds_ago=11).snapshot)
    assert (found.observed, found.limit) == ("11.0 s", "10 s")
