"""What a command does to risk, and whose guarantee that is."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.intent import find_original, intent_of
from rules.model import (
    AdjustIsolatedMargin,
    ArmDeadMan,
    Intent,
    MarginMode,
    OrderType,
    PositionSide,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
    Side,
)
from tests.rules.builders import (
    a_buy,
    a_cancel,
    a_cancel_all,
    a_close,
    a_sell,
    an_account,
    an_amend,
    an_open_order,
)

BUY, SELL = Side.BUY, Side.SELL
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


@pytest.mark.parametrize(
    ("command", "intent"),
    [
        (a_buy("BTCUSDT", "1"), Intent.ENTRY),
        (a_sell("BTCUSDT", "1"), Intent.ENTRY),
        (a_sell("BTCUSDT", "1", reduce_only=False), Intent.ENTRY),
        (a_sell("BTCUSDT", "1", reduce_only=True), Intent.EXIT),
        (a_close("BTCUSDT"), Intent.EXIT),
        (a_buy("BTCUSDT", "1", position_side=LONG), Intent.ENTRY),
        (a_sell("BTCUSDT", "1", position_side=LONG), Intent.EXIT),
        (a_sell("BTCUSDT", "1", position_side=SHORT), Intent.ENTRY),
        (a_buy("BTCUSDT", "1", position_side=SHORT), Intent.EXIT),
        (an_amend(BUY, "BTCUSDT", "1", "49000", order_id="9"), Intent.ENTRY),
        (a_cancel(), Intent.CANCEL),
        (a_cancel(symbol=None), Intent.CANCEL),
        (a_cancel_all(), Intent.CANCEL),
        (ArmDeadMan(symbol="BTCUSDT", countdown_ms=0), Intent.CANCEL),
        (SetLeverage(symbol="BTCUSDT", leverage=Decimal(5)), Intent.CONFIG),
        (SetMarginMode(symbol="BTCUSDT", margin_mode=MarginMode.CROSS), Intent.CONFIG),
        (SetPositionMode(hedged=True), Intent.CONFIG),
        (SetMultiAssetMode(enabled=True), Intent.CONFIG),
        (
            AdjustIsolatedMargin(symbol="BTCUSDT", position_side=PositionSide.BOTH, amount=Decimal(5)),
            Intent.CONFIG,
        ),
    ],
    ids=lambda value: value.value if isinstance(value, Intent) else type(value).__name__,
)
def test_every_command_has_its_intent(command, intent):
    assert intent_of(command, an_account().snapshot) is intent


def test_a_shrinking_order_without_the_flag_is_an_entry():
    """The guard's picture of the position may be old; only the venue's own guarantee makes an exit."""
    account = an_account().long("BTCUSDT", "2")
    assert intent_of(a_sell("BTCUSDT", "1"), account.snapshot) is Intent.ENTRY


@pytest.mark.parametrize(
    "terms",
    [{"reduce_only": True}, {"close_position": True}, {"position_side": LONG}],
    ids=["reduce-only", "close-position", "hedge leg"],
)
def test_amending_an_order_that_only_shrinks_is_an_exit(terms):
    account = an_account().resting(an_open_order(SELL, "BTCUSDT", "1", "51000", order_id="9", **terms))
    assert intent_of(an_amend(SELL, "BTCUSDT", "1", "50500", order_id="9"), account.snapshot) is Intent.EXIT


def test_amending_an_entry_is_an_entry():
    account = an_account().resting(an_open_order(BUY, "BTCUSDT", "1", "49000", order_id="9"))
    assert intent_of(an_amend(BUY, "BTCUSDT", "1", "48000", order_id="9"), account.snapshot) is Intent.ENTRY


def test_an_amend_on_an_unknown_account_is_an_entry():
    assert intent_of(an_amend(SELL, "BTCUSDT", "1", order_id="9"), an_account().unsurveyed().snapshot) is Intent.ENTRY


def test_the_order_id_prevails_over_the_client_id():
    """Binance: "orderId will prevail if both are sent" (modify order)."""
    entry = an_open_order(SELL, "BTCUSDT", "1", "51000", order_id="1", client_order_id="entry")
    exit_ = an_open_order(SELL, "BTCUSDT", "1", "51000", order_id="2", client_order_id="exit", reduce_only=True)
    account = an_account().resting(entry, exit_)
    command = an_amend(SELL, "BTCUSDT", "1", order_id="1", client_order_id="exit")
    assert find_original(command, account.snapshot) == entry


def test_an_original_is_sought_in_its_own_symbol():
    account = an_account().resting(an_open_order(SELL, "ETHUSDT", "1", "2600", order_id="9", reduce_only=True))
    assert find_original(an_amend(SELL, "BTCUSDT", "1", order_id="9"), account.snapshot) is None


def test_a_conditional_exit_lends_its_name_to_no_plain_order():
    """Conditional orders have client ids of their own: a plain entry may bear the same one, unseen by the survey."""
    stop = an_open_order(
        SELL,
        "BTCUSDT",
        "1",
        client_order_id="x",
        order_type=OrderType.STOP_MARKET,
        trigger_price="40000",
        reduce_only=True,
    )
    account = an_account().long("BTCUSDT", "1").resting(stop)
    assert intent_of(an_amend(BUY, "BTCUSDT", "500", "50000", client_order_id="x"), account.snapshot) is Intent.ENTRY


def test_a_reused_client_id_is_no_exit_while_an_entry_is_held_under_it():
    """The exit "x" was filled after the survey and its name given to an entry: the amend would grow the entry."""
    account = (
        an_account()
        .long("BTCUSDT", "1")
        .resting(an_open_order(SELL, "BTCUSDT", "1", "51000", client_order_id="x", reduce_only=True))
        .holding(a_sell("BTCUSDT", "0.01", "51000", client_order_id="x"))
    )
    assert intent_of(an_amend(SELL, "BTCUSDT", "500", "51000", client_order_id="x"), account.snapshot) is Intent.ENTRY


def test_an_order_is_found_by_its_client_id():
    named = an_account().resting(
        an_open_order(BUY, "ETHUSDT", "1", "2500", order_id="1", client_order_id="x"),
        an_open_order(BUY, "BTCUSDT", "1", "40000", order_id="2", client_order_id="y"),
        an_open_order(BUY, "BTCUSDT", "1", "41000", order_id="3", client_order_id="x"),
    )
    amend = an_amend(BUY, "BTCUSDT", "1", "42000", client_order_id="x")
    assert find_original(amend, named.snapshot).order_id == "3"
    for other in (a_buy("BTCUSDT", "1", client_order_id="z"), a_buy("ETHUSDT", "1", client_order_id="x")):
        assert find_original(amend, named.holding(other).snapshot).order_id == "3"
    assert find_original(amend, named.holding(a_buy("BTCUSDT", "1", client_order_id="x")).snapshot) is None


def test_an_order_is_found_by_the_venue_s_id_whatever_it_is_called():
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "1", "40000", order_id="2", client_order_id="y"))
    amend = an_amend(BUY, "BTCUSDT", "1", "42000", order_id="2", client_order_id="y")
    under_way = world.holding(a_buy("BTCUSDT", "1", client_order_id="y"))
    assert find_original(amend, under_way.snapshot).order_id == "2"
    assert find_original(an_amend(BUY, "BTCUSDT", "1", order_id="4", client_order_id="y"), world.snapshot) is None


def test_while_the_store_is_away_a_name_is_no_order_s_for_certain():
    """Which names are under way is not known then: the exit "x" may be gone, and an entry be called so."""
    world = an_account().resting(
        an_open_order(SELL, "BTCUSDT", "1", "51000", order_id="2", client_order_id="x", reduce_only=True)
    )
    away = replace(world.snapshot, store_reachable=False)
    assert intent_of(an_amend(SELL, "BTCUSDT", "500", "51000", client_order_id="x"), away) is Intent.ENTRY
    assert intent_of(an_amend(SELL, "BTCUSDT", "500", "51000", order_id="2"), away) is Intent.EXIT
