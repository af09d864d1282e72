"""What became of conditional orders is asked one by one: neither one bad answer nor their number hides a birth."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

from proxy.accounts.births import AT_ONCE, GONE_MAX, Birth, Births
from proxy.accounts.waiting import GONE_S
from proxy.exchange.payloads import PlacedOrder
from proxy.exchange.troubles import VenueThrottled, VenueTrouble, VenueUnavailable
from rules.account import OpenOrder
from rules.model import OrderType, Side
from tests.proxy.accounts.builders import a_resting_order

SYMBOLS = {"BTCUSDT"}


def stop(number: int) -> OpenOrder:
    order = a_resting_order(f"ann/{number}", Side.SELL, "1", order_id=str(number))
    return replace(order, order_type=OrderType.STOP_MARKET, price=None)


class Venue:
    """Every stop is over and has become a plain order; ``troubles`` come between for some."""

    def __init__(self, **troubles: VenueTrouble) -> None:
        self.troubles = troubles
        self.asked: list[str] = []
        self.at_once = self.at_once_max = 0

    async def conditional_by_id(self, order_id: str) -> PlacedOrder | None:
        self.asked.append(order_id)
        if trouble := self.troubles.get(f"stop_{order_id}", self.troubles.get("every_stop")):
            raise trouble
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        await asyncio.sleep(0.005)
        self.at_once -= 1
        order = replace(stop(int(order_id)), leaves_quantity=Decimal(0))
        return PlacedOrder(order=order, quantity=Decimal(1), placed_ms=1, became=f"9{order_id}")

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
        raise AssertionError("each has been listed")


def gone(venue: Venue, count: int, at: float = 0.0) -> tuple[Births, list[Birth]]:
    """Stops that the venue listed once, the last one last."""
    learned: list[Birth] = []
    births = Births("main", venue, learned.append)
    for number in range(count):
        births.waiting.surveyed((stop(number),), at)
    births.waiting.surveyed((), at)
    return births, learned


async def test_an_answer_that_nobody_can_read_keeps_no_other_birth_from_being_learned() -> None:
    venue = Venue(stop_0=VenueUnavailable("an answer in a shape we do not know"))
    births, learned = gone(venue, 2)
    await births.look(SYMBOLS, 1.0)
    assert [each.order_id for each in learned] == ["91"]
    await births.look(SYMBOLS, 1.1)
    assert venue.asked == ["1", "0"], "not before a second is over"
    await births.look(SYMBOLS, 2.0)
    assert venue.asked == ["1", "0", "0"]


async def test_the_newest_are_asked_about_a_few_at_a_time_and_the_rest_the_next_time() -> None:
    venue = Venue()
    births, learned = gone(venue, GONE_MAX + 5)
    await births.look(SYMBOLS, 1.0)
    assert venue.asked == [str(number) for number in range(GONE_MAX + 4, 4, -1)]
    assert venue.at_once_max == AT_ONCE
    await births.look(SYMBOLS, 1.0)
    assert len(learned) == GONE_MAX + 5


async def test_a_venue_that_demands_silence_is_asked_nothing_more_and_one_that_is_away_not_much() -> None:
    for trouble, silent_s in ((VenueThrottled(429, 30.0), 30.0), (VenueUnavailable("no answer"), 1.0)):
        venue = Venue(every_stop=trouble)
        births, _ = gone(venue, GONE_MAX)
        await births.look(SYMBOLS, 1.0)
        asked = len(venue.asked)
        assert asked <= AT_ONCE
        await births.look(SYMBOLS, 0.9 + silent_s)
        assert len(venue.asked) == asked
        await births.look(SYMBOLS, 1.0 + silent_s)
        assert len(venue.asked) > asked


async def test_one_that_has_long_been_gone_is_asked_about_no_more() -> None:
    venue = Venue()
    births, _ = gone(venue, 1)
    births.waiting.surveyed((), GONE_S)
    assert births.waiting.gone(SYMBOLS)
    births.waiting.surveyed((), GONE_S + 1)
    await births.look(SYMBOLS, GONE_S + 1)
    assert venue.asked == []
