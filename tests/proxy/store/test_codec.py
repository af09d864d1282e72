"""Values as JSON and back, without loss: the archive has nothing else to replay from."""

from decimal import Decimal

import pytest

from proxy.store.codec import (
    build_command,
    build_decision,
    build_snapshot,
    dump,
    load,
    plain,
    plain_command,
    plain_decision,
    plain_snapshot,
)
from rules.model import CancelOrder, Side
from rules.order.max_order_value import MaxOrderValue
from tests.rules.builders import a_buy, a_close, a_sell, an_account, an_amend, judged


def stored(value):
    return load(dump(value))


@pytest.mark.parametrize(
    "command",
    [
        a_buy("BTCUSDT", "0.10", "50000.10"),
        a_buy("BTCUSDT", "1", reduce_only=False),
        a_close("BTCUSDT"),
        an_amend(Side.BUY, "BTCUSDT", "1", price_match="QUEUE", order_id="9"),
        CancelOrder(symbol=None, order_id="9", conditional=True),
    ],
    ids=["priced", "explicit false", "close-position", "amend by priceMatch", "cancel by id alone"],
)
def test_a_command_comes_back_as_it_was(command):
    assert build_command(stored(plain_command(command))) == command


@pytest.mark.parametrize("text", ["0.10", "1E+2", "0E-8", "123456789012.123456789012345678", "-0.000000000000000001"])
def test_a_decimal_keeps_every_digit(text):
    command = a_buy("BTCUSDT", text)
    assert str(build_command(stored(plain_command(command))).quantity) == str(Decimal(text))


def test_a_snapshot_comes_back_as_it_was():
    world = an_account().long("BTCUSDT", "1.50").holding(a_buy("BTCUSDT", "1")).with_tokens("s", "0.5").behaving(0.1)
    assert build_snapshot(stored(plain_snapshot(world.snapshot))) == world.snapshot


@pytest.mark.parametrize(
    "order",
    [a_buy("BTCUSDT", "1"), an_amend(Side.SELL, "BTCUSDT", "1", order_id="9"), a_sell("BTCUSDT", "1")],
    ids=["plain", "amend", "market"],
)
def test_a_hold_is_written_short_and_read_as_decisions_of_before_named_it(order):
    world = an_account().holding(order)
    picture = stored(plain_snapshot(world.snapshot))
    named = {**picture, "holds": stored(plain(world.snapshot.holds))}
    assert build_snapshot(picture) == build_snapshot(named) == world.snapshot
    assert 2 * len(dump(picture["holds"])) < len(dump(named["holds"]))


@pytest.mark.parametrize("hold", [["h1"], ["h1", "bot", "1", "PENDING", []], ["h1", "bot", 1, "GONE", []], "hold"])
def test_a_hold_that_is_none_is_said(hold):
    with pytest.raises((ValueError, TypeError)):
        build_snapshot(stored(plain_snapshot(an_account().snapshot)) | {"holds": [hold]})


def test_an_unknown_account_stays_unknown():
    snapshot = an_account().unsurveyed().snapshot
    assert build_snapshot(stored(plain_snapshot(snapshot))) == snapshot


def test_a_refusal_comes_back_with_its_reasons():
    decision = judged(a_buy("BTCUSDT", "1"), an_account(), MaxOrderValue(limit=Decimal(20_000)))
    assert build_decision(stored(plain_decision(decision))) == decision


def test_the_same_value_has_the_same_bytes_whatever_the_order_of_its_keys():
    assert (
        dump({"b": 1, "a": {"d": 2, "c": 3}}) == dump({"a": {"c": 3, "d": 2}, "b": 1}) == (b'{"a":{"c":3,"d":2},"b":1}')
    )
