"""Where other guards let through what they should have stopped: each of their flaws, and that it is closed here.

The flaws were read from the public source and issue lists of nautilus_trader, freqtrade, hummingbot, vnpy, go-trader,
passivbot, LiteLLM and others. What a decision can show is shown here. What lies with the kill switch, the gates or
the vault is shown where those are tested; the table at the end names the test, and fails when that test is gone.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.policy.reading import PolicyError, parse_policy
from rules.catalog import CATALOG, GATES
from rules.decision import Verdict
from rules.engine import decide, decide_batch
from rules.model import Command, OrderType, Side
from rules.order.max_order_value import MaxOrderValue
from rules.order.price_collar import PriceCollar
from rules.policy import Policy
from rules.portfolio.correlated_exposure import CorrelatedExposure
from rules.position.max_leverage import MaxLeverage
from rules.position.own_share import OwnShare
from rules.position.position_limit import PositionLimit
from tests.rules.builders import (
    HALTED,
    REDUCING,
    a_buy,
    a_cancel,
    a_close,
    a_policy,
    a_sell,
    an_account,
    an_open_order,
    codes,
    judged,
)

ROOT = Path(__file__).parent.parent.parent
ALLOW, DENY = Verdict.ALLOW, Verdict.DENY
ENTRY = a_buy("BTCUSDT", "1", "50000")
LEVERAGE = MaxLeverage(limit=Decimal(3))


def refusal(command: Command, world, *rules) -> str:
    """The code of the refusal that the bot is told; the command must not pass."""
    decision = judged(command, world, *rules)
    assert decision.verdict is DENY
    return codes(decision)[0]


# nautilus_trader, risk engine: what is missing is skipped.


def test_an_account_that_is_missing_lets_nothing_in():
    """Theirs returned true."""
    assert refusal(ENTRY, an_account().unsurveyed(), LEVERAGE) == "ACCOUNT_UNKNOWN"


def test_an_order_without_a_price_to_value_it_at_is_not_skipped():
    """Theirs logged it and went on with the next order."""
    assert refusal(a_buy("BTCUSDT", "1"), an_account().unmarked("BTCUSDT"), LEVERAGE) == "MARKET_STALE"


def test_a_margin_that_cannot_be_worked_out_is_not_zero():
    """Theirs took zero margin when the calculation failed."""
    assert refusal(ENTRY, an_account().worth("NaN"), LEVERAGE) == "RULE_FAILED"


@pytest.mark.parametrize("balance", ["0", "-1"])
def test_an_account_without_a_balance_is_not_left_out(balance):
    """Theirs skipped the check where there was no balance."""
    assert refusal(ENTRY, an_account().worth(balance), LEVERAGE) == "LEVERAGE_ABOVE_LIMIT"


def test_cancels_are_judged_too():
    """Theirs went past the risk engine. Here a bot cannot cancel what is another's."""
    theirs = an_open_order(Side.BUY, "BTCUSDT", "1", "50000", bot="other-bot")
    assert refusal(a_cancel(), an_account().resting(theirs), OwnShare()) == "ORDER_NOT_OWNED"


# freqtrade: strategy_safe_wrapper(confirm_trade_entry, default_retval=True).


@pytest.mark.parametrize("error_in", [LookupError, ArithmeticError, AssertionError, RecursionError, MemoryError])
def test_a_check_that_crashes_places_no_trade(error_in, monkeypatch):
    def check(self, command, snapshot):
        raise error_in

    monkeypatch.setattr(MaxOrderValue, "check", check)
    assert refusal(ENTRY, an_account(), MaxOrderValue(limit=Decimal(10**9))) == "RULE_FAILED"


def test_a_crash_in_a_batch_refuses_all_its_entries():
    world = an_account().listing("ETHUSDT", step_size=Decimal(0), market_step_size=Decimal(0), tick_size=Decimal(0))
    policy = parse_policy(
        '[policy]\nname = "test"\nowner = "risk@desk.example"\n[desk.instrument_filters]\nenforcement = "enforce"\n'
    )
    decisions = decide_batch([ENTRY, a_buy("ETHUSDT", "1", "2500")], world.snapshot, policy)
    assert [decision.verdict for decision in decisions] == [DENY, DENY]


# vnpy risk manager: rules that are not there, market orders and contracts that are not known.


@pytest.mark.parametrize("rule", ["max_order_valu", "order_flow_rule"])
def test_a_rule_that_cannot_be_found_is_no_policy(rule):
    """Theirs logged that a rule could not be imported, and trading went on without it."""
    with pytest.raises(PolicyError, match=rule):
        parse_policy(f'[policy]\nname = "t"\nowner = "o"\n[desk.{rule}]\nenforcement = "enforce"\nlimit = 5\n')


def test_every_rule_that_is_written_is_in_the_catalog():
    """Their README lists eight rules, their package holds five. `docs/rules.md` is written from the catalog."""
    written = set()
    for path in (ROOT / "rules").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Rule" for base in node.bases):
                written.add(node.name)
    written.discard("CustomRule")  # Written in a policy: it has its name from there, and no place of its own.
    assert written == {rule.__name__ for rule in CATALOG.values()}


@pytest.mark.parametrize("price", [None, Decimal(0)], ids=["no price", "price 0"])
@pytest.mark.parametrize("order_type", [OrderType.MARKET, OrderType.STOP_MARKET])
def test_a_market_order_is_worth_the_mark(price, order_type):
    """Theirs multiplied by a price of zero."""
    order = replace(a_buy("BTCUSDT", "1"), price=price, order_type=order_type)
    assert refusal(order, an_account(), MaxOrderValue(limit=Decimal(49_999))) == "ORDER_VALUE_ABOVE_LIMIT"
    assert refusal(order, an_account(), PositionLimit(limit_notional=Decimal(49_999))) == "POSITION_ABOVE_LIMIT"


def test_a_contract_that_is_not_known_passes_no_rule():
    """Theirs skipped the cap for it."""
    assert refusal(a_buy("LUNAUSDT", "1", "5"), an_account(), MaxOrderValue(limit=Decimal(10**9))) == "UNKNOWN_SYMBOL"


# go-trader: what the guard did not place.


def test_a_position_opened_by_hand_counts():
    """Theirs was not seen."""
    world = an_account().sharing("", "BTCUSDT", "2")
    assert refusal(ENTRY, world, PositionLimit(limit_quantity=Decimal("2.999"))) == "POSITION_ABOVE_LIMIT"


def test_an_order_placed_by_hand_counts():
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "2", "50000", bot=""))
    assert refusal(ENTRY, world, PositionLimit(limit_quantity=Decimal("2.999"))) == "POSITION_ABOVE_LIMIT"


def test_one_bot_s_limit_stops_that_bot_alone():
    """Theirs stopped the whole book when one strategy tripped."""
    limit = MaxOrderValue(limit=Decimal(1), level="bot:other-bot")
    assert judged(ENTRY, an_account(), limit).verdict is ALLOW


# Others: a halt that stopped the stop-loss, a tick that stopped the desk, a limit that was never asked.


@pytest.mark.parametrize("state", [HALTED, REDUCING])
@pytest.mark.parametrize(
    "command",
    [a_close("BTCUSDT"), a_sell("BTCUSDT", "1", reduce_only=True), a_cancel()],
    ids=["stop", "exit", "cancel"],
)
def test_a_halt_does_not_stop_the_stop_loss(state, command):
    assert judged(command, an_account().long("BTCUSDT", "1").in_state(state), LEVERAGE).verdict is ALLOW


def test_one_bad_tick_refuses_while_it_lasts_and_stops_nobody():
    """Theirs halted for a loss that only one wrong value of the equity had shown."""
    policy = a_policy(LEVERAGE)
    world = an_account().worth("50000")
    bad = decide(ENTRY, world.worth("1").snapshot, policy)
    assert (bad.verdict, bad.breaches[0].stops_bot) == (DENY, None)
    assert decide(ENTRY, world.snapshot, policy).verdict is ALLOW


def test_the_correlation_limit_is_asked():
    """Theirs was dead code."""
    world = an_account().long("ETHUSDT", "20")
    rule = CorrelatedExposure(limit_notional=Decimal(60_000))
    assert refusal(ENTRY, world, rule) == "CORRELATED_EXPOSURE_ABOVE_LIMIT"


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.rule_id)
def test_the_gates_are_asked_though_no_policy_names_them(gate):
    policy = parse_policy('[policy]\nname = "t"\nowner = "o"\n')
    assert gate in {type(rule) for rule in policy.rules_for(account="demo", bot="demo-bot", symbol="BTCUSDT")}


def test_a_number_that_is_none_is_no_limit():
    """A limit that compares false with everything would never refuse."""
    with pytest.raises(PolicyError):
        parse_policy(
            '[policy]\nname = "t"\nowner = "o"\n[desk.max_order_value]\nenforcement = "enforce"\nlimit = nan\n'
        )


@pytest.mark.parametrize("price", ["NaN", "Infinity"])
def test_a_mark_that_is_no_number_lets_nothing_in(price):
    assert judged(ENTRY, an_account().marked("BTCUSDT", price), LEVERAGE, PriceCollar(band=Decimal(1))).verdict is DENY


def test_a_policy_without_rules_still_has_its_gates():
    empty = Policy(name="t", owner="o", version="0", rules=a_policy().rules)
    assert decide(ENTRY, an_account().unsurveyed().snapshot, empty).verdict is DENY


ELSEWHERE = {
    "nautilus_trader: nothing sets the trading state by itself": (
        "tests/e2e/test_outside.py::test_reduce_lets_nothing_in_until_a_person_re_arms"
    ),
    "hummingbot: the kill loop logs its exceptions and goes on": (
        "tests/proxy/kill/test_simulation.py::test_a_venue_that_stays_down_ends_degraded_in_time"
    ),
    "hummingbot #2534: a kill that crashed went on creating orders": (
        "tests/proxy/gate/test_judge.py::test_while_a_kill_runs_only_cancels_go"
    ),
    "hummingbot #2534, the other half: a kill that crashed is taken up again": (
        "tests/proxy/kill/test_end_to_end.py::test_f15_kill_minus_nine_after_lines_of_the_journal_then_resumed"
    ),
    "hummingbot #2944: stopping leaves the position": "tests/e2e/test_kill.py::test_a_press_of_the_api_ends_flat",
    "vnpy: the README lists rules that are not in the package": (
        "tests/test_docs.py::test_what_the_code_says_of_itself_is_what_the_page_says"
    ),
    "go-trader #345: killed in its own books and open at the exchange": (
        "tests/proxy/kill/test_simulation.py::test_flat_is_true_whenever_it_is_said"
    ),
    "go-trader #1462: a resting limit fills after it was flat": (
        "tests/rules/kill/test_machine.py::test_a_conditional_order_that_reopens_starts_the_count_anew"
    ),
    "go-trader #1454: what was opened by hand is not noticed": (
        "tests/e2e/test_outside.py::test_a_leaked_key_is_caught_in_under_five_seconds"
    ),
    "go-trader #431: there is no way back": (
        "tests/proxy/kill/test_rearm.py::test_a_named_person_with_a_reason_lifts_that_scope_alone_and_it_is_written_down"
    ),
    "go-trader #426: closing is tried for ever, in silence": (
        "tests/rules/kill/test_machine.py::test_a_leg_the_venue_refuses_to_close_again_and_again_is_named"
    ),
    "go-trader #1448: one trip stops the whole book": (
        "tests/proxy/kill/test_fence.py::test_an_account_kill_stops_that_account_and_moves_the_epoch"
    ),
    "passivbot: a healthy position is closed on a reconstructed history": (
        "tests/rules/kill/test_machine.py::test_closes_reduce_what_was_last_read_and_come_after_cancels"
    ),
    "LiteLLM #30661: each pod has a budget of its own": (
        "tests/e2e/test_race.py::test_fifty_orders_with_room_for_thirty_are_thirty_a_hundred_times"
    ),
    "LiteLLM #31079: rotating a key lifts what it was under": (
        "tests/proxy/vault/test_vault.py::test_rotating_a_disabled_key_does_not_let_the_bot_back_in"
    ),
    "LiteLLM #27735: a stale counter locks out": (
        "tests/proxy/store/test_hold.py::test_tokens_flow_in_at_their_rate_and_never_above_the_burst"
    ),
    "LiteLLM #30670: the key stands in the error log": (
        "tests/proxy/vault/test_canary.py::test_no_failure_shows_a_secret"
    ),
    "buttercup #550: the master key passes every limit": (
        "tests/proxy/console/test_door.py::test_the_token_opens_the_api_and_only_the_api"
    ),
}
"""Flaw to the test that shows it closed where the part it concerns is tested."""


@pytest.mark.parametrize("flaw", ELSEWHERE)
def test_what_no_decision_can_show_is_shown_elsewhere(flaw):
    path, _, name = ELSEWHERE[flaw].partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert name in defined
