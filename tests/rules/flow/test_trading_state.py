"""What the four levels' states allow."""

from decimal import Decimal

import pytest

from rules.decision import Verdict
from rules.flow.trading_state import TradingStateGate
from rules.model import AdjustIsolatedMargin, ArmDeadMan, PositionSide, SetLeverage, SetPositionMode
from tests.rules.builders import (
    ACTIVE,
    HALTED,
    REDUCING,
    a_buy,
    a_cancel,
    a_cancel_all,
    a_close,
    a_sell,
    an_account,
    judged,
)

GATE = TradingStateGate()
ENTRIES = [a_buy("BTCUSDT", "1"), a_sell("BTCUSDT", "1"), SetLeverage(symbol="BTCUSDT", leverage=Decimal(2))]
EXITS = [a_sell("BTCUSDT", "1", reduce_only=True), a_close("BTCUSDT"), a_sell("BTCUSDT", "1", position_side="LONG")]
CANCELS = [a_cancel(), a_cancel_all(), ArmDeadMan(symbol="BTCUSDT", countdown_ms=1000)]


def code(command, world):
    breach = GATE.check(command, world.snapshot)
    return breach.code if breach is not None else None


def margin(amount):
    return AdjustIsolatedMargin(symbol="BTCUSDT", position_side=PositionSide.BOTH, amount=Decimal(amount))


@pytest.mark.parametrize("command", [*ENTRIES, *EXITS, *CANCELS], ids=str)
def test_an_active_desk_lets_everything_through(command):
    assert code(command, an_account().in_state(ACTIVE)) is None


@pytest.mark.parametrize("level", ["desk", "account", "bot", "symbol"])
@pytest.mark.parametrize(("state", "expected"), [(REDUCING, "REDUCE_ONLY_STATE"), (HALTED, "TRADING_HALTED")])
@pytest.mark.parametrize("command", [*ENTRIES, SetPositionMode(hedged=True), margin("-1")], ids=str)
def test_any_level_stops_what_may_add_risk(command, state, expected, level):
    assert code(command, an_account().in_state(state, level)) == expected


@pytest.mark.parametrize("state", [REDUCING, HALTED])
@pytest.mark.parametrize("command", [*EXITS, *CANCELS, margin("1")], ids=str)
def test_no_state_stops_what_lowers_risk(command, state):
    assert code(command, an_account().long("BTCUSDT", "1").in_state(state)) is None


def test_the_strictest_level_speaks():
    assert code(a_buy("BTCUSDT", "1"), an_account().in_state(REDUCING, "desk").in_state(HALTED, "bot")) == (
        "TRADING_HALTED"
    )


@pytest.mark.parametrize("command", [*ENTRIES, *EXITS, margin("1")], ids=str)
def test_while_a_kill_runs_bots_place_nothing(command):
    assert code(command, an_account().being_killed()) == "KILL_RUNNING"


@pytest.mark.parametrize("command", CANCELS, ids=str)
def test_while_a_kill_runs_bots_may_cancel(command):
    assert code(command, an_account().being_killed()) is None


def test_a_reduce_only_exit_passes_while_reducing():
    account = an_account().long("BTCUSDT", "2").in_state(REDUCING)
    assert judged(a_sell("BTCUSDT", "1", reduce_only=True), account).verdict is Verdict.ALLOW


def test_adding_no_margin_lowers_no_risk():
    assert code(margin("0"), an_account().in_state(REDUCING)) == "REDUCE_ONLY_STATE"


@pytest.mark.parametrize(
    ("world", "message"),
    [
        (an_account().being_killed(), "the kill switch is closing this account; bots may only cancel"),
        (an_account().in_state(HALTED), "trading is halted; re-arming needs a person"),
        (an_account().in_state(REDUCING), "only reduce-only orders and cancels pass now"),
    ],
    ids=["kill", "halted", "reducing"],
)
def test_the_bot_is_told_what_may_pass(world, message):
    assert GATE.check(a_buy("BTCUSDT", "1"), world.snapshot).message == message
