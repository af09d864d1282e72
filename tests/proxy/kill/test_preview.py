"""What a press would cancel and close, and what it would cost: from the guard's picture and books read just now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from proxy.exchange.market_payloads import Depth
from proxy.exchange.troubles import VenueUnavailable
from proxy.kill.preview import Knowledge, Preview
from proxy.kill.roster import Roster
from proxy.refused import Refused
from rules.account import Account
from rules.model import OrderType, PositionSide, Side
from rules.snapshot import Market
from tests.rules.builders import NOW, World, an_account, an_open_order

D = Decimal
BOOK = Depth(bids=((D(49_990), D(1)), (D(49_900), D(9))), asks=((D(50_010), D(1)), (D(50_100), D(9))))


@dataclass
class Share:
    """A bot's part of every leg; ``None``: nobody knows."""

    part: Decimal | None

    def quantity(self, symbol: str, position_side: PositionSide) -> Decimal | None:
        return self.part


@dataclass
class Desk:
    """Two accounts on one venue; two bots share the first."""

    worlds: dict[str, World | None] = field(default_factory=dict)
    share: Share | None = None
    depth: Depth | Exception | None = BOOK
    books_read: list[str] = field(default_factory=list)

    async def read(self, venue: str, symbol: str) -> Depth:
        self.books_read.append(symbol)
        if isinstance(self.depth, Exception):
            raise self.depth
        if self.depth is None:
            await asyncio.sleep(3600)
        assert self.depth is not None
        return self.depth

    def account(self, name: str) -> Account | None:
        world = self.worlds.get(name)
        return None if world is None else world.account

    def markets(self, venue: str) -> Mapping[str, Market]:
        return an_account().marked("BTCUSDT", "50000").markets

    def look(self) -> Preview:
        hands: Any = {"main": None, "spare": None}
        roster = Roster(
            hands=hands,
            venues={"main": "binanceusdm", "spare": "binanceusdm"},
            traders=lambda: [("grid", "main"), ("momentum", "main")],
            bot_hands=lambda bot, account: hands[account],
        )
        knowledge = Knowledge(
            account=self.account, part=lambda bot, account: self.share, markets=self.markets, depth=self.read
        )
        return Preview(roster=roster, knowledge=knowledge, now=lambda: NOW + timedelta(seconds=2))


def two_long() -> World:
    return an_account().marked("BTCUSDT", "50000").long("BTCUSDT", "2")


async def test_a_press_is_costed_by_walking_the_book_that_stands_now() -> None:
    ahead = await Desk(worlds={"main": two_long(), "spare": an_account()}).look().preview("desk")
    (leg,) = ahead.accounts[0].legs
    assert (leg.symbol, leg.side, leg.quantity, leg.notional) == ("BTCUSDT", "LONG", 2, 100_000)
    assert (leg.cost, leg.in_book) == (D(10 + 100), 2)  # One at 10 under the mark, one at 100 under it.
    assert (ahead.cost, ahead.uncosted, ahead.legs, ahead.notional) == (110, 0, 1, 100_000)
    assert [account.age_s for account in ahead.accounts] == [2.0, 2.0]
    assert ahead.depth_age_s is not None


async def test_a_short_is_bought_back_from_the_other_side_of_the_book() -> None:
    world = an_account().marked("BTCUSDT", "50000").short("BTCUSDT", "1")
    ahead = await Desk(worlds={"main": world}).look().preview("account:main")
    assert (ahead.accounts[0].legs[0].side, ahead.cost) == ("SHORT", 10)


async def test_orders_are_listed_with_what_they_are() -> None:
    stop = an_open_order(
        Side.SELL,
        "BTCUSDT",
        None,
        order_type=OrderType.STOP_MARKET,
        close_position=True,
        trigger_price="40000",
        order_id="7",
    )
    world = two_long().resting(an_open_order(Side.BUY, "BTCUSDT", "0.1", "48000"), stop)
    ahead = await Desk(worlds={"main": world}).look().preview("account:main")
    plain, conditional = ahead.accounts[0].orders
    assert (plain.kind, plain.side, plain.price, plain.reduce_only) == ("plain", "BUY", 48_000, False)
    assert (conditional.kind, conditional.quantity, conditional.reduce_only) == ("conditional", None, True)
    assert ahead.orders == 2


async def test_a_book_that_cannot_be_read_leaves_the_cost_open_not_zero() -> None:
    ahead = await Desk(worlds={"main": two_long()}, depth=VenueUnavailable("away")).look().preview("desk")
    assert (ahead.accounts[0].legs[0].cost, ahead.uncosted, ahead.depth_age_s) == (None, 1, None)


async def test_a_venue_that_is_silent_is_waited_for_no_longer_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.kill.preview.READING_S", 0.05)
    ahead = await Desk(worlds={"main": two_long()}, depth=None).look().preview("desk")
    assert ahead.uncosted == 1


async def test_two_looks_at_once_read_a_book_once() -> None:
    desk = Desk(worlds={"main": two_long()})
    look = desk.look()
    await asyncio.gather(look.preview("desk"), look.preview("account:main"))
    assert desk.books_read == ["BTCUSDT"]


async def test_of_a_shared_account_a_bot_loses_its_own_orders_and_its_own_share() -> None:
    mine = replace(an_open_order(Side.BUY, "BTCUSDT", "0.1", "48000"), bot="grid")
    world = two_long().resting(mine, replace(mine, order_id="2", bot="momentum"))
    ahead = await Desk(worlds={"main": world}, share=Share(D("0.5"))).look().preview("bot:grid")
    (account,) = ahead.accounts
    assert (account.part_of, [leg.quantity for leg in account.legs]) == ("grid", [D("0.5")])
    assert [order.bot for order in account.orders] == ["grid"]


async def test_a_share_nobody_knows_is_said_and_not_guessed_at() -> None:
    ahead = await Desk(worlds={"main": two_long()}, share=Share(None)).look().preview("bot:grid")
    assert ahead.accounts[0].legs == []
    assert "not known now" in ahead.accounts[0].trouble


async def test_an_account_that_was_not_surveyed_is_named_all_the_same() -> None:
    ahead = await Desk(worlds={"main": None, "spare": an_account()}).look().preview("venue:binanceusdm")
    assert [(each.name, each.age_s) for each in ahead.accounts] == [("main", None), ("spare", 2.0)]
    assert "not surveyed yet" in ahead.accounts[0].trouble


@pytest.mark.parametrize("scope", ["bot:nobody", "account:nobody", "everything"], ids=str)
async def test_a_scope_this_desk_does_not_have_is_refused(scope: str) -> None:
    with pytest.raises(Refused):
        await Desk().look().preview(scope)
