"""The world of a test, built as the desk would say it: ``an_account().long("BTCUSDT", "2").in_state(REDUCING)``.

Everything is fresh and generous by default; a test names only what its story needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from rules.account import (
    Account,
    Attempt,
    HeldOrder,
    Hold,
    HoldStatus,
    OpenOrder,
    Position,
    Share,
    SymbolSettings,
    UnreportedOrder,
)
from rules.catalog import EXIT_RULES, GATES
from rules.decision import Decision
from rules.engine import decide
from rules.exposure import held_order
from rules.facts import (
    AccountRecord,
    BotRecord,
    Condition,
    Conditions,
    Forecast,
    Latency,
    Override,
    Performance,
    Score,
)
from rules.instrument import Instrument
from rules.model import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    MarginMode,
    OrderType,
    PlaceOrder,
    PositionSide,
    Side,
    TradingState,
)
from rules.policy import Policy
from rules.rule import Rule
from rules.snapshot import Controls, Market, Snapshot
from rules.usual import UsualOrders, UsualSizes

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ACTIVE, REDUCING, HALTED = TradingState
MARKS = {"BTCUSDT": "50000", "ETHUSDT": "2500", "DOGEUSDT": "0.1"}
_TICKS = {"BTCUSDT": "0.1", "ETHUSDT": "0.01", "DOGEUSDT": "0.00001"}
_STEPS = {"BTCUSDT": "0.001", "ETHUSDT": "0.001", "DOGEUSDT": "1"}


def an_instrument(symbol: str, **changes: Any) -> Instrument:
    step = Decimal(_STEPS.get(symbol, "0.001"))
    listed = Instrument(
        symbol=symbol,
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        trading=True,
        tick_size=Decimal(_TICKS.get(symbol, "0.1")),
        step_size=step,
        quantity_min=step,
        quantity_max=step * 1_000_000,
        market_step_size=step,
        market_quantity_min=step,
        market_quantity_max=step * 100_000,
        notional_min=Decimal(5),
    )
    return replace(listed, **changes)


@dataclass(frozen=True)
class World:
    """An account and everything the guard knows around it. Every word returns a new one."""

    account: Account | None
    controls: Controls = field(default_factory=lambda: Controls(generation=1))
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    instruments_known: bool = True
    markets: Mapping[str, Market] = field(default_factory=dict)
    holds: tuple[Hold, ...] = ()
    unreported: tuple[UnreportedOrder, ...] = ()
    tokens: Mapping[str, Decimal] = field(default_factory=dict)
    anomaly: float = 0.0
    store_reachable: bool = True
    desk_taken: bool = False
    attempts: tuple[Attempt, ...] = ()
    scores: Mapping[str, Score] = field(default_factory=dict)
    conditions: Conditions | None = None
    record: AccountRecord | None = None
    overrides: tuple[Override, ...] = ()
    usual: UsualOrders | None = None

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(
            now=NOW,
            bot="demo-bot",
            account=self.account,
            controls=self.controls,
            instruments=self.instruments,
            instruments_known=self.instruments_known,
            markets=self.markets,
            holds=self.holds,
            unreported=self.unreported,
            tokens=self.tokens,
            anomaly=self.anomaly,
            store_reachable=self.store_reachable,
            desk_taken=self.desk_taken,
            attempts=self.attempts,
            scores=self.scores,
            conditions=self.conditions,
            record=self.record,
            overrides=self.overrides,
            usual=self.usual,
        )

    def long(self, symbol: str, quantity: str) -> World:
        return self._position(symbol, Decimal(quantity))

    def short(self, symbol: str, quantity: str) -> World:
        return self._position(symbol, -Decimal(quantity))

    def hedged(self) -> World:
        return self._account(hedged=True)

    def sharing(self, bot: str, symbol: str, quantity: str, entry_price: str | None = None, **money: str) -> World:
        """A bot has this much of the leg; the position becomes the sum of its shares."""
        assert self.account is not None
        signed = Decimal(quantity)
        leg = PositionSide.BOTH
        if self.account.hedged:
            leg = PositionSide.LONG if signed > 0 else PositionSide.SHORT
        mark = self.markets[symbol].mark_price
        share = Share(
            bot=bot,
            symbol=symbol,
            position_side=leg,
            quantity=signed,
            entry_price=mark if entry_price is None else Decimal(entry_price),
            **{name: Decimal(amount) for name, amount in money.items()},
        )
        shares = (*self.account.shares, share)
        total = sum(each.quantity for each in shares if (each.symbol, each.position_side) == (symbol, leg))
        others = tuple(each for each in self.account.positions if (each.symbol, each.position_side) != (symbol, leg))
        position = Position(symbol=symbol, position_side=leg, quantity=total, entry_price=mark, mark_price=mark)
        return self._account(shares=shares, positions=(*others, position) if total else others)

    def worth(self, margin_balance: str) -> World:
        return self._account(margin_balance=Decimal(margin_balance))

    def surveyed(self, seconds_ago: float) -> World:
        return self._account(as_of=NOW - timedelta(seconds=seconds_ago))

    def unsurveyed(self) -> World:
        return replace(self, account=None)

    def setting(self, symbol: str, margin_mode: MarginMode, *, leverage: int = 20) -> World:
        """What the venue has set for one symbol."""
        assert self.account is not None
        others = tuple(each for each in self.account.settings if each.symbol != symbol)
        new = SymbolSettings(symbol=symbol, margin_mode=margin_mode, leverage=Decimal(leverage))
        return self._account(settings=(*others, new))

    def isolating(self, symbol: str, quantity: str, *, margin: str | None, entry_price: str | None = None) -> World:
        """An isolated position with this much margin of its own."""
        world = self._position(symbol, Decimal(quantity))
        assert world.account is not None
        *others, leg = world.account.positions
        leg = replace(leg, margin_mode=MarginMode.ISOLATED, isolated_margin=None if margin is None else Decimal(margin))
        if entry_price is not None:
            leg = replace(leg, entry_price=Decimal(entry_price))
        return world._account(positions=(*others, leg))

    def ranked(self, symbol: str, adl_quantile: int | None) -> World:
        """The venue's auto-deleveraging rank of a symbol's legs."""
        assert self.account is not None
        legs = tuple(
            replace(leg, adl_quantile=adl_quantile) if leg.symbol == symbol else leg for leg in self.account.positions
        )
        return self._account(positions=legs)

    def with_assets(self, multi_assets: bool | None) -> World:
        """Whether other assets serve as margin."""
        return self._account(multi_assets=multi_assets)

    def resting(self, *orders: OpenOrder) -> World:
        assert self.account is not None
        return self._account(open_orders=(*self.account.open_orders, *orders))

    def holding(
        self,
        command: Command | HeldOrder,
        *,
        status: HoldStatus = HoldStatus.PENDING,
        bot: str = "other-bot",
    ) -> World:
        order = command if isinstance(command, HeldOrder) else held_order(command, self.snapshot)
        assert order is not None, "this command reserves nothing"
        hold = Hold(
            hold_id=f"h{len(self.holds)}", bot=bot, sequence=len(self.holds) + 1, status=status, orders=(order,)
        )
        return replace(self, holds=(*self.holds, hold))

    def losing(self, command: Command | HeldOrder, *, bot: str = "demo-bot", seconds_ago: float = 0) -> World:
        """Nobody knows what became of this order: it is held, and its bot got no answer."""
        held = self.holding(command, status=HoldStatus.UNKNOWN, bot=bot)
        (*_, hold) = held.holds
        at = NOW - timedelta(seconds=seconds_ago)
        lost = UnreportedOrder(bot=bot, hold_id=hold.hold_id, at=at, order=hold.orders[0])
        return replace(held, unreported=(*self.unreported, lost))

    def resolved(self) -> World:
        """The venue has said what became of every order; no hold is left. Bots were told nothing."""
        return replace(self, holds=())

    def marked(self, symbol: str, price: str, *, seconds_ago: float = 0, **touch: Any) -> World:
        market = Market(
            symbol=symbol,
            mark_price=Decimal(price),
            as_of=NOW - timedelta(seconds=seconds_ago),
            **{name: Decimal(value) if isinstance(value, str) else value for name, value in touch.items()},
        )
        return replace(self, markets={**self.markets, symbol: market})

    def unmarked(self, symbol: str) -> World:
        return replace(self, markets={name: market for name, market in self.markets.items() if name != symbol})

    def listing(self, symbol: str, **changes: Any) -> World:
        return replace(self, instruments={**self.instruments, symbol: an_instrument(symbol, **changes)})

    def unlisted(self, symbol: str) -> World:
        return replace(self, instruments={name: each for name, each in self.instruments.items() if name != symbol})

    def before_any_list(self) -> World:
        """Nobody has read the venue's instruments yet."""
        return replace(self, instruments={}, instruments_known=False)

    def in_state(self, state: TradingState, level: str = "account") -> World:
        return replace(self, controls=replace(self.controls, **{level: state}))

    def being_killed(self) -> World:
        return replace(self, controls=replace(self.controls, kill_running=True))

    def without_store(self) -> World:
        return replace(self, store_reachable=False)

    def on_another_guards_desk(self) -> World:
        """The store was not asked: its desk is another guard's."""
        return replace(self, store_reachable=False, desk_taken=True)

    def with_tokens(self, scope: str, balance: str) -> World:
        return replace(self, tokens={**self.tokens, scope: Decimal(balance)})

    def behaving(self, anomaly: float) -> World:
        return replace(self, anomaly=anomaly)

    def scored(self, value: float, level: str = "bot:demo-bot", why: str = "order rate") -> World:
        return replace(self, scores={**self.scores, level: Score(value=value, why=why)})

    def used_to(
        self, *, any_size: str = "", through: str = "", away: str = "", sizes: tuple[UsualSizes, ...] = (), **facts: Any
    ) -> World:
        """What orders of the bot are usual. Bounds are texts: ``"1 2 3"`` is once a day, in ten days, in a hundred."""
        usual = UsualOrders(
            bot="demo-bot",
            version=1,
            as_of=NOW,
            scores=(0.54, 0.78, 0.9),
            sizes=sizes,
            any_size=tuple(map(Decimal, any_size.split())),
            through=tuple(map(Decimal, through.split())),
            away=tuple(map(Decimal, away.split())),
            **facts,
        )
        return replace(self, usual=usual)

    def in_conditions(self, symbol: str, *, seconds_ago: float = 0, **facts: Any) -> World:
        """The warden has measured this of the symbol's market; texts become decimals."""
        known = self.conditions or Conditions(version=1, as_of=NOW)
        condition = Condition(
            symbol=symbol,
            as_of=NOW - timedelta(seconds=seconds_ago),
            **{name: Decimal(value) if isinstance(value, str) else value for name, value in facts.items()},
        )
        return replace(self, conditions=replace(known, symbols={**known.symbols, symbol: condition}))

    def correlating(self, *, seconds_ago: float = 0, **pairs: str) -> World:
        """Live correlations, ``BTCUSDT__ETHUSDT="0.8"``."""
        known = self.conditions or Conditions(version=1, as_of=NOW)
        rho = {name.replace("__", ":"): Decimal(value) for name, value in pairs.items()}
        at = NOW - timedelta(seconds=seconds_ago)
        return replace(self, conditions=replace(known, correlations=rho, correlations_as_of=at))

    def within_bands(self, **pairs: tuple[str, str]) -> World:
        """The bands of live correlations, ``BTCUSDT__ETHUSDT=("0.5", "0.95")``."""
        known = self.conditions or Conditions(version=1, as_of=NOW)
        bands = {name.replace("__", ":"): (Decimal(low), Decimal(high)) for name, (low, high) in pairs.items()}
        return replace(self, conditions=replace(known, correlation_bands=bands))

    def with_latency(self, *, seconds_ago: float = 0, **milliseconds: str) -> World:
        known = self.conditions or Conditions(version=1, as_of=NOW)
        latency = Latency(
            as_of=NOW - timedelta(seconds=seconds_ago),
            **{name: Decimal(value) for name, value in milliseconds.items()},
        )
        return replace(self, conditions=replace(known, latency=latency))

    def performing(self, *, of: str = "account", **money: Any) -> World:
        """What the account (or ``of`` a bot) has made or lost; all zero but what is named."""
        zero = {"day_pnl", "day_funding", "rolling_pnl", "rolling_funding", "day_peak"}
        fields = dict.fromkeys(zero, Decimal(0)) | {"equity": Decimal(1_000_000), "equity_peak": Decimal(1_000_000)}
        fields |= {name: Decimal(value) if isinstance(value, str) else value for name, value in money.items()}
        performance = Performance(**fields)
        if of == "account":
            return self.recorded(performance=performance)
        return self.known_bot(of, performance=performance)

    def recorded(self, *, seconds_ago: float = 0, **facts: Any) -> World:
        """The warden's memory of the account, with these facts changed."""
        known = self.record or AccountRecord(account="demo", version=1, as_of=NOW)
        return replace(self, record=replace(known, as_of=NOW - timedelta(seconds=seconds_ago), **facts))

    def known_bot(self, bot: str = "demo-bot", *, days: float = 365, **facts: Any) -> World:
        """A bot first seen, and clean since, so many days ago, with these facts changed."""
        known = self.recorded().record
        assert known is not None
        since = NOW - timedelta(days=days)
        before = known.bot(bot) or BotRecord(bot=bot, first_seen=since, clean_since=since)
        others = tuple(each for each in known.bots if each.bot != bot)
        return self.recorded(bots=(*others, replace(before, **facts)))

    def forecasting(self, name: str, probability: float, *, seconds_ago: float = 0, **terms: Any) -> World:
        forecast = Forecast(
            name=name,
            as_of=NOW - timedelta(seconds=seconds_ago),
            probability=probability,
            **({"horizon_s": 3600} | terms),
        )
        known = self.recorded().record
        assert known is not None
        return self.recorded(forecasts=(*known.forecasts, forecast))

    def having_tried(
        self,
        command: Command,
        *,
        seconds_ago: float = 0,
        refused: bool = False,
        refused_at_size: str | None = None,
        sized_down_to: str | None = None,
    ) -> World:
        """The bot sent this entry before, whole or sized down, or was refused it."""
        order = held_order(command, self.snapshot)
        assert order is not None, "this command reserves nothing"
        size = refused_at_size or sized_down_to
        attempt = Attempt(
            at=NOW - timedelta(seconds=seconds_ago),
            hold_id=f"a{len(self.attempts)}",
            orders=(order,),
            refused=refused or refused_at_size is not None,
            refused_at_size=None if size is None else Decimal(size),
        )
        return replace(self, attempts=(*self.attempts, attempt))

    def under(self, *overrides: Override) -> World:
        """With these overrides open."""
        return replace(self, overrides=(*self.overrides, *overrides))

    def _position(self, symbol: str, quantity: Decimal) -> World:
        assert self.account is not None
        side = PositionSide.BOTH
        if self.account.hedged:
            side = PositionSide.LONG if quantity > 0 else PositionSide.SHORT
        mark = self.markets[symbol].mark_price
        leg = Position(symbol=symbol, position_side=side, quantity=quantity, entry_price=mark, mark_price=mark)
        return self._account(positions=(*self.account.positions, leg))

    def _account(self, **changes: Any) -> World:
        assert self.account is not None
        return replace(self, account=replace(self.account, **changes))


def an_account() -> World:
    """Flat, one-way, 1,000,000 of margin balance, surveyed just now, with three listed symbols and fresh marks."""
    return World(
        account=Account(
            name="demo",
            version=7,
            as_of=NOW,
            margin_balance=Decimal(1_000_000),
            available_balance=Decimal(1_000_000),
            hedged=False,
        ),
        instruments={symbol: an_instrument(symbol) for symbol in MARKS},
        markets={
            symbol: Market(symbol=symbol, mark_price=Decimal(price), as_of=NOW) for symbol, price in MARKS.items()
        },
    )


def a_buy(symbol: str, quantity: str | None, price: str | None = None, **terms: Any) -> PlaceOrder:
    return _an_order(Side.BUY, symbol, quantity, price, terms)


def a_sell(symbol: str, quantity: str | None, price: str | None = None, **terms: Any) -> PlaceOrder:
    return _an_order(Side.SELL, symbol, quantity, price, terms)


def a_close(symbol: str, side: Side = Side.SELL, trigger_price: str = "40000") -> PlaceOrder:
    """A protective stop that closes whatever the position then is."""
    return _an_order(
        side,
        symbol,
        None,
        None,
        {"order_type": OrderType.STOP_MARKET, "close_position": True, "trigger_price": trigger_price},
    )


def an_amend(side: Side, symbol: str, quantity: str, price: str | None = None, **terms: Any) -> AmendOrder:
    return AmendOrder(
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price) if price is not None else None,
        **terms,
    )


def a_cancel(symbol: str | None = "BTCUSDT", order_id: str = "1") -> CancelOrder:
    return CancelOrder(symbol=symbol, order_id=order_id)


def a_cancel_all(symbol: str = "BTCUSDT") -> CancelAll:
    return CancelAll(symbol=symbol)


def an_open_order(
    side: Side,
    symbol: str,
    leaves: str | None,
    price: str | None = None,
    *,
    order_id: str = "1",
    client_order_id: str = "",
    filled: str = "0",
    **terms: Any,
) -> OpenOrder:
    terms = {"order_type": OrderType.LIMIT, "reduce_only": False, "close_position": False, **terms}
    trigger = terms.pop("trigger_price", None)
    return OpenOrder(
        symbol=symbol,
        side=side,
        position_side=terms.pop("position_side", PositionSide.BOTH),
        leaves_quantity=Decimal(leaves) if leaves is not None else None,
        price=Decimal(price) if price is not None else None,
        trigger_price=Decimal(trigger) if trigger is not None else None,
        order_id=order_id,
        client_order_id=client_order_id or f"c{order_id}",
        filled_quantity=Decimal(filled),
        **terms,
    )


def an_override(rule_id: str = "max_order_value", quantity_max: str = "2", **terms: Any) -> Override:
    """Leave for the demo bot to buy so much BTCUSDT past one rule within the next five minutes."""
    default = Override(
        override_id="o1",
        rule_id=rule_id,
        bot="demo-bot",
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity_max=Decimal(quantity_max),
        expires_at=NOW + timedelta(minutes=5),
        ticket="RISK-17",
        requested_by="ann",
        approved_by="ben",
    )
    return replace(default, **terms)


def a_policy(*rules: Rule) -> Policy:
    """The rules given, with the gates and the exit collar every policy has."""
    present = {type(rule) for rule in rules if rule.level == "desk"}
    always = tuple(rule() for rule in (*GATES, *EXIT_RULES) if rule not in present)
    version = sha256(repr((always, rules)).encode()).hexdigest()[:16]
    return Policy(name="test", owner="risk@desk.example", version=version, rules=(*always, *rules))


def judged(command: Command, world: World, *rules: Rule) -> Decision:
    """What the engine says under exactly these rules."""
    return decide(command, world.snapshot, a_policy(*rules))


def codes(decision: Decision) -> list[str]:
    return [breach.code for breach in decision.breaches]


_PRICES = ("trigger_price", "activate_price", "callback_rate")


def _an_order(side: Side, symbol: str, quantity: str | None, price: str | None, terms: Mapping[str, Any]) -> PlaceOrder:
    default = OrderType.MARKET if price is None else OrderType.LIMIT
    if "price_match" in terms:
        default = OrderType.LIMIT
    numbers = {name: Decimal(terms[name]) for name in _PRICES if name in terms}
    return PlaceOrder(
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity) if quantity is not None else None,
        price=Decimal(price) if price is not None else None,
        **{"order_type": default, **terms, **numbers},
    )
