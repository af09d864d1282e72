"""What is missing or absurd is unknown, never an error."""

from __future__ import annotations

import math

import pytest

from proxy.signals.evidence.event import OrderEvent, read_event


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, "x", b"1", True, [], 10**400, 0, -5.0])
def test_a_size_that_is_none_is_unknown(value):
    assert read_event({"ts": 1.0, "notional": value}).notional is None


@pytest.mark.parametrize("value", [None, math.nan, -1.0, 1_795_000_000_000_000.0, "now"])
def test_a_time_that_is_none_is_unknown(value):
    assert read_event({"ts": value}).ts is None


def test_whole_numbers_are_numbers():
    event = read_event({"ts": 5, "notional": 7, "distance_bps": 0, "round_trip_ms": 3})
    assert (event.ts, event.notional, event.distance_bps, event.round_trip_ms) == (5.0, 7.0, 0.0, 3.0)


def test_an_event_of_the_house_is_read_the_same():
    event = OrderEvent(ts=5.0, symbol="BTCUSDT", side="BUY", notional=math.nan, rejected=False)
    assert read_event(event) == OrderEvent(ts=5.0, symbol="BTCUSDT", side="buy", rejected=False)


@pytest.mark.parametrize(("told", "read"), [(True, True), (1, True), (False, False), (0, False), (None, None)])
def test_a_rejection_is_yes_no_or_unknown(told, read):
    assert read_event({"ts": 1.0, "rejected": told}).rejected is read


def test_a_type_nobody_knows_is_an_order():
    assert read_event({"ts": 1.0, "type": "replace"}).type == "new"
