"""Bots play on one leg at random, each held to what is its own, beside one that only holds: it loses nothing by them.

What fills is booked by the guard's own count of shares, so what is judged is what comes of it.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from proxy.accounts.shares import Shares
from rules.account import OpenOrder
from rules.decision import Verdict
from rules.engine import decide
from rules.model import ZERO, Command, OrderType, PlaceOrder, PositionSide, Side
from rules.position.own_share import OwnShare
from tests.properties.strategies import PROOF
from tests.proxy.accounts.builders import a_fill
from tests.rules.builders import a_policy, an_account, an_amend, an_open_order

PLAYS, STEPS = 600, 20
HOLDER, NOBODY, DUST = "holder", "", Decimal("0.001")
POLICY = a_policy(OwnShare())


@dataclass
class Play:
    """A leg that every bot holds long or not at all. Whoever is no player leaves its orders to the players."""

    chance: random.Random
    hedged: bool
    players: tuple[str, ...]
    shares: Shares = field(default_factory=lambda: Shares(lambda name: name.partition("/")[0]))
    orders: dict[str, OpenOrder] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def leg(self) -> PositionSide:
        return PositionSide.LONG if self.hedged else PositionSide.BOTH

    def run(self) -> None:
        """Some steps, and then all that rests fills, in any order."""
        self.begin()
        for _ in range(STEPS):
            self.step()
            self.check()
        for number in self.chance.sample(list(self.orders), len(self.orders)):
            self.fill(number, whole=True)
            self.check()

    def begin(self) -> None:
        """Shares at random; of nobody's some may be about to close, and an entry by hand may rest."""
        for bot, least in ((HOLDER, 1), (NOBODY, 0), *((bot, 0) for bot in self.players)):
            if quantity := self.chance.randint(least, 4):
                self.fill(self.rest(bot, Side.BUY, Decimal(quantity), reduce_only=False), whole=True)
        left = int(self.of(NOBODY))
        while left and self.chance.random() < 0.6:
            quantity = self.chance.randint(1, left)
            self.rest(NOBODY, Side.SELL, Decimal(quantity), reduce_only=True)
            left -= quantity
        if not self.hedged and self.chance.random() < 0.3:
            self.rest(NOBODY, Side.SELL, DUST, reduce_only=False)

    def step(self) -> None:
        match self.chance.random():
            case few if few < 0.35:
                self.place(self.chance.choice(self.players))
            case more if more < 0.65 and self.orders:
                self.amend(self.chance.choice(self.players), self.chance.choice(list(self.orders)))
            case _ if self.orders:
                self.fill(self.chance.choice(list(self.orders)), whole=self.chance.random() < 0.6)

    def of(self, bot: str) -> Decimal:
        return self.shares.quantity(bot, "BTCUSDT", self.leg)

    def passes(self, bot: str, command: Command, *, without_own: bool = False) -> bool:
        world = an_account().hedged() if self.hedged else an_account()
        for share in self.shares.all():
            if share.quantity:
                world = world.sharing(share.bot, "BTCUSDT", str(share.quantity))
        world = world.resting(*(each for each in self.orders.values() if not (without_own and each.bot == bot)))
        return decide(command, replace(world.snapshot, bot=bot), POLICY).verdict is Verdict.ALLOW

    def place(self, bot: str) -> None:
        closes = self.chance.random() < 0.6
        side = Side.SELL if closes else self.chance.choice(list(Side) if not self.hedged else [Side.BUY])
        order = self.an_order(side, Decimal(self.chance.randint(1, 5)), closes=closes)
        if self.passes(bot, order):
            self.seen["exit placed" if closes else "entry placed"] += 1
            self.rest(bot, side, order.quantity or ZERO, reduce_only=closes and not self.hedged)

    def an_order(self, side: Side, quantity: Decimal, *, closes: bool) -> PlaceOrder:
        return PlaceOrder(
            symbol="BTCUSDT",
            side=side,
            position_side=self.leg,
            order_type=OrderType.LIMIT,
            quantity=quantity,
            price=Decimal(60_000),
            reduce_only=True if closes and not self.hedged else None,
        )

    def rest(self, bot: str, side: Side, quantity: Decimal, *, reduce_only: bool) -> str:
        number = str(len(self.told))
        self.orders[number] = an_open_order(
            side,
            "BTCUSDT",
            str(quantity),
            "60000",
            order_id=number,
            client_order_id=f"{bot}/{number}",
            reduce_only=reduce_only,
            position_side=self.leg,
            bot=bot,
        )
        self.tell(f"{bot or 'nobody'} has {side.name} {quantity} rest as {number}{' reduce-only' * reduce_only}")
        return number

    def amend(self, bot: str, number: str) -> None:
        order = self.orders[number]
        leaves = Decimal(self.chance.randint(1, 5))
        total = order.filled_quantity + leaves
        if self.passes(bot, an_amend(order.side, "BTCUSDT", str(total), "60000", order_id=number)):
            assert order.bot in (bot, NOBODY)
            self.seen["own amended" if order.bot else "nobody's amended"] += 1
            self.orders[number] = replace(order, leaves_quantity=leaves)
            self.tell(f"{bot} leaves {leaves} of {number}")

    def fill(self, number: str, *, whole: bool) -> None:
        """At the venue: a reduce-only order fills up to what is left of the position."""
        order = self.orders[number]
        leaves = order.leaves_quantity or ZERO
        quantity = leaves if whole else min(leaves, Decimal(1))
        if order.reduce_only or (self.hedged and order.side is Side.SELL):
            quantity = min(quantity, self.shares.leg("BTCUSDT", self.leg))
        if quantity <= 0:
            return
        total = order.filled_quantity + quantity
        self.shares.apply(
            a_fill(
                order.client_order_id,
                order.side,
                str(quantity),
                total=str(total),
                of=str(order.filled_quantity + leaves),
                order_id=number,
                position_side=self.leg,
                reduce_only=order.reduce_only,
            )
        )
        self.orders[number] = replace(order, leaves_quantity=leaves - quantity, filled_quantity=total)
        if quantity == leaves:
            del self.orders[number]
        self.tell(f"{quantity} of {number} fills")

    def tell(self, what: str) -> None:
        parts = ", ".join(f"{share.bot or 'nobody'} {share.quantity}" for share in self.shares.all())
        self.told.append(f"{what} ({parts})")

    def check(self) -> None:
        """The shares of those who hold are there to close, but for what the hand's own entry sold."""
        held = sum((max(ZERO, share.quantity) for share in self.shares.all()), ZERO)
        assert self.shares.leg("BTCUSDT", self.leg) >= held - DUST, "somebody lost a part of its own"
        for bot in self.players:
            if self.of(bot) > 0:
                close = self.an_order(Side.SELL, self.of(bot), closes=True)
                assert self.passes(bot, close, without_own=True), f"{bot} cannot close its own"


@pytest.mark.parametrize("players", [("ada",), ("ada", "bob")], ids=["one", "two"])
@pytest.mark.parametrize("hedged", [False, True], ids=["one-way", "hedged"])
def test_no_play_takes_another_bot_s_part_and_each_can_close_its_own(hedged: bool, players: tuple[str, ...]) -> None:
    seen: Counter[str] = Counter()
    for seed in range(PLAYS * PROOF // (2 * len(players))):
        play = Play(random.Random(seed), hedged, players)
        try:
            play.run()
        except AssertionError as lost:
            pytest.fail(f"{lost} (seed {seed})\n" + "\n".join(play.told))
        seen += play.seen
    assert set(seen) == {"entry placed", "exit placed", "own amended", "nobody's amended"}
