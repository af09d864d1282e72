"""What a bot did in a day, when it was last at fault, and which of its conditional orders did as meant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from proxy.accounts.conduct import ASKED_MAX, SYMBOLS_MAX, Conduct, cancelled, decided, filled, met, triggered
from proxy.accounts.track import BUCKET, WINDOW
from rules.flow.trading_state import TradingStateGate
from tests.rules.builders import NOW

BTC = "BTCUSDT"
LATER = NOW + timedelta(hours=1)


def a_decision(*verdicts: str, command: dict[str, Any] | None = None, **breach: str) -> dict[str, Any]:
    """A record of as many decisions; refusals for this breach."""
    breaches = [{"rule_id": "max_order_value", "code": "ORDER_VALUE_ABOVE_LIMIT"} | breach]
    return {
        "commands": [command or {"type": "PlaceOrder", "symbol": BTC} for _ in verdicts],
        "decisions": [{"verdict": verdict, "breaches": breaches if verdict == "DENY" else []} for verdict in verdicts],
    }


def cancel(kind: str = "CancelOrder", conditional: bool = True) -> dict[str, Any]:
    return a_decision("ALLOW", command={"type": kind, "symbol": BTC, "conditional": conditional})


def counts(conduct: Conduct, now: Any = LATER) -> tuple[int, int, int]:
    found = conduct.counted(now)
    return found.orders, found.fills, found.refusals


def test_a_bot_begins_clean() -> None:
    conduct = met("ann", NOW)
    assert (conduct.first_seen, conduct.clean_since, counts(conduct)) == (NOW, NOW, (0, 0, 0))


def test_orders_fills_and_refusals_are_counted() -> None:
    conduct = decided(met("ann", NOW), a_decision("ALLOW", "DENY", "ALLOW"), NOW)
    conduct = filled(filled(conduct, NOW), LATER)
    assert counts(conduct) == (2, 2, 1)


@pytest.mark.parametrize("kind", ["AmendOrder", "CancelOrder", "SetLeverage"])
def test_only_what_places_an_order_is_one(kind: str) -> None:
    assert counts(decided(met("ann", NOW), a_decision("ALLOW", command={"type": kind, "symbol": BTC}), NOW)) == (
        0,
        0,
        0,
    )


def test_counts_are_of_the_last_24_hours() -> None:
    conduct = decided(met("ann", NOW), a_decision("ALLOW"), NOW)
    assert counts(conduct, NOW + WINDOW + BUCKET - timedelta(seconds=1)) == (1, 0, 0)
    assert counts(conduct, NOW + WINDOW + BUCKET) == (0, 0, 0)
    for minute in range(0, 3 * 24 * 60, 2):
        conduct = filled(conduct, NOW + timedelta(minutes=minute))
    assert len(conduct.counts) <= WINDOW / BUCKET + 1


def test_what_comes_late_counts_in_its_time_and_what_comes_too_late_not_at_all() -> None:
    conduct = filled(filled(met("ann", NOW), LATER), NOW)
    assert counts(conduct) == (0, 2, 0)
    assert counts(conduct, NOW + WINDOW + BUCKET) == (0, 1, 0)
    assert filled(conduct, NOW - WINDOW) == conduct


def test_a_refusal_for_a_limit_is_a_fault() -> None:
    conduct = decided(met("ann", NOW), a_decision("DENY"), LATER)
    assert (conduct.clean_since, conduct.first_seen) == (LATER, NOW)
    assert decided(conduct, a_decision("DENY"), NOW).clean_since == LATER


@pytest.mark.parametrize(
    "breach",
    [
        {"code": "FACTS_UNKNOWN"},
        {"code": "RULE_FAILED"},
        {"code": "BATCH_REFUSED"},
        {"rule_id": TradingStateGate.rule_id},
    ],
)
def test_a_refusal_that_is_no_fault_of_the_bot_s_leaves_it_clean(breach: dict[str, str]) -> None:
    conduct = decided(met("ann", NOW), a_decision("DENY", **breach), LATER)
    assert (conduct.clean_since, counts(conduct)) == (NOW, (0, 0, 1))


def test_a_triggered_conditional_order_proves_its_symbol() -> None:
    assert triggered(triggered(met("ann", NOW), BTC), "ETHUSDT").proven == (BTC, "ETHUSDT")
    assert triggered(triggered(met("ann", NOW), BTC), BTC).proven == (BTC,)


@pytest.mark.parametrize("kind", ["CancelOrder", "CancelAll"])
@pytest.mark.parametrize("apart", [ASKED_MAX, -ASKED_MAX, timedelta(0)])
def test_a_cancel_that_was_asked_for_proves_in_either_order(kind: str, apart: timedelta) -> None:
    asked_first = cancelled(decided(met("ann", NOW), cancel(kind), NOW), BTC, NOW + apart)
    gone_first = decided(cancelled(met("ann", NOW), BTC, NOW + apart), cancel(kind), NOW)
    assert asked_first.proven == gone_first.proven == (BTC,)


@pytest.mark.parametrize(
    "conduct",
    [
        cancelled(met("ann", NOW), BTC, NOW),
        decided(met("ann", NOW), cancel(), NOW),
        cancelled(decided(met("ann", NOW), cancel(), NOW), BTC, NOW + ASKED_MAX + timedelta(seconds=1)),
        cancelled(decided(met("ann", NOW), cancel(), NOW), "ETHUSDT", NOW),
        cancelled(decided(met("ann", NOW), cancel(conditional=False), NOW), BTC, NOW),
        decided(cancelled(met("ann", NOW), BTC, NOW), cancel("PlaceOrder"), NOW),
    ],
    ids=["by the venue", "nothing went", "too late", "another symbol", "a plain order", "no cancel"],
)
def test_any_other_cancel_proves_nothing(conduct: Conduct) -> None:
    assert conduct.proven == ()


def test_what_waits_for_its_other_half_is_bounded() -> None:
    conduct = met("ann", NOW)
    for number in range(SYMBOLS_MAX + 1):
        conduct = cancelled(conduct, f"S{number}", NOW + timedelta(seconds=number))
    assert conduct.gone is not None
    assert (len(conduct.gone), "S0" in conduct.gone, "S1" in conduct.gone) == (SYMBOLS_MAX, False, True)


@pytest.mark.parametrize(
    "record",
    [{}, {"commands": 1, "decisions": []}, {"commands": [], "decisions": 1}, {"commands": [1], "decisions": [2]}],
)
def test_a_record_of_another_shape_tells_nothing(record: dict[str, Any]) -> None:
    assert decided(met("ann", NOW), record, NOW) == met("ann", NOW)


def test_breaches_of_another_shape_are_no_fault() -> None:
    record = {"commands": [{}], "decisions": [{"verdict": "DENY", "breaches": 1}]}
    assert decided(met("ann", NOW), record, LATER).clean_since == NOW
