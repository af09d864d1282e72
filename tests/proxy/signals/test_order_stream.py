"""The audit's records as the events that the score reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from proxy.audit.recording import Subject
from proxy.signals.order_stream import OrderStream
from proxy.store.codec import dump, load
from rules.engine import decide_batch
from rules.facts import Score
from rules.flow.message_rate import MessageRate
from rules.flow.staged_response import StagedResponse
from rules.model import TradingState
from rules.order.max_order_value import MaxOrderValue
from tests.rules.builders import NOW, a_buy, a_cancel, a_policy, a_sell, an_account

SUBJECT = Subject(
    decision_id="d",
    desk="desk",
    bot="demo-bot",
    account="demo",
    venue="binanceusdm",
    key_hint="1234",
    route="POST /fapi/v1/order",
)


USUAL_WORLD = an_account().long("BTCUSDT", "2")


def a_record(*commands, rules=(), bot="demo-bot", score=0.0, decision_id="d", at=NOW, world=USUAL_WORLD):
    """A decision's record, as the warden reads it from the stream."""
    snapshot = replace(world.snapshot, scores={f"bot:{bot}": Score(value=score)}, anomaly=score, bot=bot, now=at)
    markets = {symbol: replace(each, as_of=each.as_of + (at - NOW)) for symbol, each in snapshot.markets.items()}
    account = replace(snapshot.account, as_of=snapshot.account.as_of + (at - NOW))
    snapshot = replace(snapshot, account=account, markets=markets)
    decisions = decide_batch(commands, snapshot, a_policy(*rules))
    subject = replace(SUBJECT, bot=bot, decision_id=decision_id)
    return load(dump(subject.decision(snapshot, "1", commands, decisions, withheld={})))


def an_outcome(result, *, after_ms=80, decision_id="d"):
    subject = replace(SUBJECT, decision_id=decision_id)
    record = subject.outcome(result, sent_at=NOW, answered_at=NOW + timedelta(milliseconds=after_ms))
    return load(dump(record))


def test_an_entry_is_seen_with_its_worth_and_its_distance_from_the_mark():
    (seen,) = OrderStream().read(a_record(a_buy("BTCUSDT", "1", "49500")))
    assert (seen.ts, seen.type, seen.symbol, seen.side) == (NOW.timestamp(), "new", "BTCUSDT", "buy")
    assert (seen.notional, seen.rejected) == (50_000, None)
    assert seen.distance_bps == pytest.approx(-100)


def test_the_distance_is_signed_to_the_aggressive_side():
    (buy,) = OrderStream().read(a_record(a_buy("BTCUSDT", "1", "50500")))
    (sell,) = OrderStream().read(a_record(a_sell("BTCUSDT", "5", "49500")))
    assert buy.distance_bps == pytest.approx(100)
    assert sell.distance_bps == pytest.approx(100)


def test_a_market_order_has_no_distance():
    (seen,) = OrderStream().read(a_record(a_buy("BTCUSDT", "1")))
    assert seen.distance_bps is None


def test_a_refused_entry_is_seen_as_rejected():
    (seen,) = OrderStream().read(a_record(a_buy("BTCUSDT", "1"), rules=[MaxOrderValue(limit=Decimal(1))]))
    assert seen.rejected is True


def test_what_the_score_itself_refused_is_not_held_against_the_bot():
    rules = [StagedResponse(reduce_at=Decimal("0.5"))]
    record = a_record(a_buy("BTCUSDT", "1"), rules=rules, score=0.9)
    assert record["decisions"][0]["verdict"] == "DENY"
    assert OrderStream().read(record) == [], "not even that it was asked for: it would count in the pace"


def test_what_another_rule_refused_as_well_is_seen_as_rejected():
    rules = [StagedResponse(reduce_at=Decimal("0.5")), MaxOrderValue(limit=Decimal(1))]
    (seen,) = OrderStream().read(a_record(a_buy("BTCUSDT", "1"), rules=rules, score=0.9))
    assert seen.rejected is True


def feed_lost(world):
    return replace(world, account=replace(world.account, feed_stale=True))


HINDERED = {
    "halted": USUAL_WORLD.in_state(TradingState.HALTED, "bot"),
    "reduce-only": USUAL_WORLD.in_state(TradingState.REDUCING),
    "a kill runs": USUAL_WORLD.being_killed(),
    "stream lost": feed_lost(USUAL_WORLD),
    "store away": USUAL_WORLD.without_store(),
    "halted, stream lost": feed_lost(USUAL_WORLD.in_state(TradingState.HALTED)),
}


@pytest.mark.parametrize("world", HINDERED.values(), ids=HINDERED)
@pytest.mark.parametrize("commands", [[a_buy("BTCUSDT", "1")], [a_buy("BTCUSDT", "1"), a_buy("BTCUSDT", "2")]])
def test_what_the_guard_itself_cannot_or_will_not_do_is_not_held_against_the_bot(world, commands):
    record = a_record(*commands, world=world, rules=[StagedResponse(reduce_at=Decimal("0.5"))], score=0.9)
    assert {decision["verdict"] for decision in record["decisions"]} == {"DENY"}
    assert OrderStream().read(record) == []


def test_an_order_for_a_symbol_that_does_not_exist_is_the_bot_s_own_doing():
    (seen,) = OrderStream().read(a_record(a_buy("NOSUCHUSDT", "1")))
    assert seen.rejected is True


SLOW = MessageRate(per_second=Decimal(1), burst=Decimal(10))


@pytest.mark.parametrize(
    ("score", "tokens", "rules", "rejected"),
    [
        (0.0, "0.5", [SLOW], [True]),
        (0.6, "0.5", [SLOW], [None]),
        (0.6, "4", [SLOW], [None]),
        (0.6, "4", [SLOW, MaxOrderValue(limit=Decimal(1))], [True]),
        (0.6, "4", [SLOW, StagedResponse(reduce_at=Decimal("0.5"))], []),
        (0.6, "4", [SLOW, StagedResponse(reduce_at=Decimal("0.5")), MaxOrderValue(limit=Decimal(1))], [True]),
    ],
)
def test_a_rate_that_the_score_has_tightened_rejects_nothing(score, tokens, rules, rejected):
    world = USUAL_WORLD.with_tokens(SLOW.scope, tokens)
    stream = OrderStream()
    record = a_record(a_buy("BTCUSDT", "1"), world=world, rules=rules, score=score)
    assert record["decisions"][0]["verdict"] == "DENY"
    assert [event.rejected for event in stream.read(record)] == rejected
    assert stream.read(an_outcome("REJECTED")) == [], "what was refused is not waited for"


def test_exits_are_never_held_against_a_bot_and_cancels_count_as_cancels():
    seen = OrderStream().read(a_record(a_sell("BTCUSDT", "1", reduce_only=True), a_cancel()))
    assert [event.type for event in seen] == ["cancel"]


def test_the_venue_s_answer_to_an_entry_is_seen_with_its_round_trip():
    stream = OrderStream()
    stream.read(a_record(a_buy("BTCUSDT", "1")))
    (seen,) = stream.read(an_outcome("REJECTED"))
    assert (seen.type, seen.rejected) == ("answer", True)
    assert seen.round_trip_ms == pytest.approx(80, abs=0.01)
    assert stream.read(an_outcome("REJECTED")) == []


@pytest.mark.parametrize(("result", "rejected"), [("ACCEPTED", False), ("UNKNOWN", None)])
def test_what_is_unknown_is_no_rejection(result, rejected):
    stream = OrderStream()
    stream.read(a_record(a_buy("BTCUSDT", "1")))
    assert stream.read(an_outcome(result))[0].rejected is rejected


def test_the_answer_to_an_exit_is_not_held_against_a_bot():
    stream = OrderStream()
    stream.read(a_record(a_sell("BTCUSDT", "1", reduce_only=True)))
    assert stream.read(an_outcome("REJECTED")) == []


def test_what_is_waited_for_is_bounded():
    stream = OrderStream()
    record = a_record(a_buy("BTCUSDT", "1"))
    for number in range(5_000):
        stream.read({**record, "id": str(number)})
    assert stream.read(an_outcome("ACCEPTED", decision_id="0")) == []
    assert len(stream.read(an_outcome("ACCEPTED", decision_id="4999"))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"snapshot": None},
        {"snapshot": {"now": "yesterday"}},
        {"commands": [{"type": "Unheard"}]},
        {"decisions": [{}]},
        {"decisions": 5},
    ],
)
def test_a_record_nobody_can_read_teaches_nothing(change):
    assert OrderStream().read({**a_record(a_buy("BTCUSDT", "1")), **change}) == []


@pytest.mark.parametrize("change", [{"sent_at": None}, {"answered_at": "soon"}])
def test_an_outcome_nobody_can_read_teaches_nothing(change):
    stream = OrderStream()
    stream.read(a_record(a_buy("BTCUSDT", "1")))
    assert stream.read({**an_outcome("ACCEPTED"), **change}) == []


def test_other_records_are_nobody_s_orders():
    assert OrderStream().read({"kind": "event", "id": "d"}) == []
