"""Which price may set off a conditional entry."""

from dataclasses import replace

import pytest

from rules.decision import Enforcement, Verdict
from rules.model import OrderType, Side, TriggerBy
from rules.order.trigger_source import TriggerSource, WatchedPrice
from tests.rules.builders import a_buy, a_close, a_sell, an_account, an_amend, judged

BY_MARK = TriggerSource(allow=WatchedPrice.MARK)
BY_LAST = TriggerSource(allow=WatchedPrice.LAST)
CONDITIONAL = [each for each in OrderType if each.is_conditional]


def a_stop(trigger_by=None, order_type=OrderType.STOP_MARKET, **terms):
    return a_buy("BTCUSDT", "1", order_type=order_type, trigger_price="60000", trigger_by=trigger_by, **terms)


def breach(rule, command):
    return rule.check(command, an_account().snapshot)


@pytest.mark.parametrize("order_type", CONDITIONAL)
def test_the_allowed_price_passes_and_the_other_does_not(order_type):
    assert breach(BY_MARK, a_stop(TriggerBy.MARK, order_type)) is None
    assert breach(BY_LAST, a_stop(TriggerBy.LAST, order_type)) is None
    assert breach(BY_MARK, a_stop(TriggerBy.LAST, order_type)).code == "TRIGGER_SOURCE_NOT_ALLOWED"
    assert breach(BY_LAST, a_stop(TriggerBy.MARK, order_type)).code == "TRIGGER_SOURCE_NOT_ALLOWED"


def test_what_was_sent_is_told_with_what_to_send():
    found = breach(BY_MARK, a_stop(TriggerBy.LAST))
    assert found.message == "workingType=CONTRACT_PRICE triggers by the last price, not by the mark price"
    assert (found.observed, found.limit, found.advice) == ("last", "mark", "send workingType=MARK_PRICE")
    found = breach(BY_LAST, a_stop(TriggerBy.MARK))
    assert found.message == "workingType=MARK_PRICE triggers by the mark price, not by the last price"
    assert (found.observed, found.limit, found.advice) == ("mark", "last", "send workingType=CONTRACT_PRICE")


def test_what_was_not_sent_is_the_venue_s_default_and_named_so():
    found = breach(BY_MARK, a_stop())
    assert found.message == (
        "no workingType was sent, so the venue's default CONTRACT_PRICE applies and it triggers by the last price, "
        "not by the mark price"
    )
    assert (found.observed, found.advice) == ("last", "send workingType=MARK_PRICE")
    assert breach(BY_LAST, a_stop()) is None


@pytest.mark.parametrize(
    "command",
    [
        a_buy("BTCUSDT", "1"),
        a_buy("BTCUSDT", "1", "50000"),
        an_amend(Side.BUY, "BTCUSDT", "1", "50000", order_id="9"),
        a_close("BTCUSDT"),
        a_sell("BTCUSDT", "1", order_type=OrderType.STOP_MARKET, trigger_price="40000", reduce_only=True),
    ],
    ids=["market", "limit", "amend", "close-position", "reduce-only stop"],
)
def test_what_waits_for_no_trigger_and_what_protects_passes(command):
    assert breach(BY_MARK, command) is None


def test_it_may_only_report_and_for_one_bot():
    rule = replace(BY_MARK, enforcement=Enforcement.REPORT, level="bot:demo-bot")
    decision = judged(a_stop(), an_account(), rule)
    assert decision.verdict is Verdict.ALLOW
    assert [(each.rule_id, each.level) for each in decision.would_deny] == [("trigger_source", "bot:demo-bot")]
    assert judged(a_stop(), an_account(), BY_MARK).verdict is Verdict.DENY
    assert judged(a_stop(), an_account(), replace(BY_MARK, level="bot:other-bot")).verdict is Verdict.ALLOW
