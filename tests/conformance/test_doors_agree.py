"""What REST refuses a trading frame is refused, in the same words, and what goes out for one goes out for the other.

Each case is sent through both doors, each at a desk of its own that knows the same world, down to real sockets of an
exchange. The table has a case for every code an order can meet; a test counts.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.budget.meter import Payer
from proxy.budget.published import Limit
from proxy.budget.silence import Way
from proxy.gate.ruling import Outcome
from proxy.policy.custom_rules import compile_expression
from proxy.store.embedded import EmbeddedStore
from proxy.store.fence import DESK
from proxy.store.view import HoldRequest, View
from proxy.venues.binance.client_ids import outward, tag
from proxy.venues.binance.frames import TARGETS
from rules.account import OpenOrder
from rules.catalog import CATALOG
from rules.custom import CustomRule
from rules.flow.message_rate import MessageRate
from rules.kill.budget import Spend
from rules.model import OrderType, Side, TimeInForce, TradingState
from rules.order.instrument_filters import InstrumentFilters
from rules.order.max_order_value import MaxOrderValue
from rules.order.max_order_volume import MaxOrderVolume
from rules.order.order_types import OrderTypes
from rules.order.price_collar import PriceCollar
from rules.order.self_trade import Across, SelfTrade
from rules.order.trigger_source import TriggerSource, WatchedPrice
from rules.portfolio.correlated_exposure import CorrelatedExposure
from rules.portfolio.daily_loss import DailyLoss
from rules.portfolio.exposure_limits import ExposureLimits
from rules.portfolio.margin_budget import MarginBudget
from rules.position.max_leverage import MaxLeverage
from rules.position.own_share import OwnShare
from rules.position.position_limit import PositionLimit
from rules.position.position_mode import PositionMode, WantedPositions
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits
from rules.resize import Resize, ResizeMode
from rules.rule import Rule
from tests.proxy.gate.conftest import Desk, asking
from tests.rules.builders import World, a_buy, an_account, an_open_order, an_override
from tests.support.gates import NOW_MS, Gate, Keys, a_bare_frame, a_frame, an_exchange
from tests.test_docs import codes_in_the_source

Arrange = Callable[[Gate], Awaitable[None]]

_directories = itertools.count()

BUY: Mapping[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
LIMIT: Mapping[str, Any] = {**BUY, "type": "LIMIT", "timeInForce": "GTC", "price": "50000"}
EXIT: Mapping[str, Any] = {**BUY, "side": "SELL", "reduceOnly": "true"}
STOP: Mapping[str, Any] = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "1",
    "triggerPrice": "45000",
}
# Slow enough for two gates, moments apart, to see the same balance.
RATE = MessageRate(per_second=Decimal("0.000001"), burst=Decimal(1))
LONG = an_account().long("BTCUSDT", "2")
STALE = replace(an_account(), account=replace(an_account().account, feed_stale=True))
SHARED = an_account().sharing("demo-bot", "BTCUSDT", "1").sharing("another", "BTCUSDT", "1")
VALUE = MaxOrderValue(limit=Decimal(1000))
TRIM = (Resize(level="bot:demo-bot", mode=ResizeMode.TRIM),)
NO_BUYS = CustomRule(
    name="no_buys",
    expression="order.side == 'SELL'",
    message="no buys today",
    question=compile_expression("order.side == 'SELL'"),
)
BUDGET = MarginBudget(level="bot:demo-bot", limit=Decimal(10_000), leverage=Decimal(3))


@dataclass(frozen=True)
class Case:
    """A world, a policy, a call; and the code that refuses it, ``""`` when nothing does."""

    code: str
    sent: Mapping[str, Any] = field(default_factory=lambda: BUY)
    rules: tuple[Rule, ...] = ()
    world: World = field(default_factory=an_account)
    arrange: Arrange | None = None
    method: str = "order.place"
    note: str = ""
    resizes: tuple[Resize, ...] = ()

    def __str__(self) -> str:
        return f"{self.code or 'ALLOWED'}{self.note and '-'}{self.note}"


def at_the_venue(own_id: str) -> str:
    """What the exchange knows an order of this bot by."""
    return outward(own_id, tag("demo", "demo-bot"))


def an_offer() -> OpenOrder:
    return an_open_order(Side.SELL, "BTCUSDT", "1", "50000")


def one(limit: str = "1") -> PositionLimit:
    return PositionLimit(limit_quantity=Decimal(limit))


def in_state(level: str, state: TradingState, *, kill_running: bool | None = None) -> Arrange:
    async def arrange(gate: Gate) -> None:
        await gate.desk.warden.set_state(level, state, generation=2, kill_running=kill_running)

    return arrange


async def with_a_full_disk(gate: Gate) -> None:
    gate.desk.fill_the_disk()


async def with_a_policy_it_cannot_read(gate: Gate) -> None:
    gate.desk.publish_nonsense()


async def with_one_under_way(gate: Gate) -> None:
    await gate.desk.judge().judge(asking(a_buy("BTCUSDT", "0.1", client_order_id=at_the_venue("same"))))


async def with_a_lost_answer(gate: Gate) -> None:
    judge = gate.desk.judge()
    ruling = await judge.judge(asking(a_buy("BTCUSDT", "0.1", client_order_id=at_the_venue("lost"))))
    await judge.settle(ruling, Outcome.UNKNOWN, [], {"kind": "outcome"})


async def with_the_rate_used_up(gate: Gate) -> None:
    await gate.desk.judge(RATE).judge(asking(a_buy("BTCUSDT", "0.1")))


async def with_a_key_switched_off_in_the_store(gate: Gate) -> None:
    await gate.desk.warden.set_key_disabled(gate.keys.hmac.key, disabled=True)


async def with_the_sentinel(gate: Gate) -> None:
    gate.desk.fence.engage(DESK)


async def with_an_amend_that_became_an_entry(gate: Gate) -> None:
    """The gate's cached picture knows the order as an exit, so nothing is reserved; the new one says otherwise."""
    await gate.desk.knows(an_account().resting(a_resting(reduce_only=True)))
    await gate.desk.judge().judge(asking(a_buy("BTCUSDT", "0.1")))
    await gate.desk.knows(an_account().resting(a_resting(reduce_only=False)))


def a_resting(*, reduce_only: bool = False) -> Any:
    return an_open_order(Side.BUY, "BTCUSDT", "1", "50000", client_order_id=at_the_venue("x"), reduce_only=reduce_only)


async def with_an_override(gate: Gate) -> None:
    gate.desk.grant(an_override(quantity_max="90"))


async def with_an_override_that_serves_another_first(gate: Gate) -> None:
    """Another request uses it up between this one's look and its send."""
    await with_an_override(gate)
    hold = gate.desk.store.hold

    async def hold_and_lose(request: HoldRequest) -> View:
        view = await hold(request)
        await gate.desk.store.use_override("o1")
        return view

    gate.desk.store.hold = hold_and_lose  # type: ignore[method-assign]


async def with_the_exchange_refusing(gate: Gate) -> None:
    gate.exchange.status, gate.exchange.body = 400, b'{"code":-2019,"msg":"Margin is insufficient."}'


async def with_an_odd_answer(gate: Gate) -> None:
    gate.exchange.body = b'{"positions":"many"}'


async def with_positions(gate: Gate) -> None:
    leg = {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "2", "entryPrice": "1", "markPrice": "50000"}
    gate.exchange.body = json.dumps([leg]).encode()


async def with_the_exchange_gone(gate: Gate) -> None:
    gate.exchange.hang_up = True


async def with_a_gateway_in_between(gate: Gate) -> None:
    gate.exchange.status, gate.exchange.body = 502, b"<html>Bad Gateway</html>"


async def with_the_budget_at_the_reserve(gate: Gate) -> None:
    """The exchange has counted what bots may spend, and a weight more, in the minute that stands still here."""
    used = {Limit.WEIGHT_1M: 1_921, Limit.ORDERS_10S: 240, Limit.ORDERS_1M: 960}
    gate.meter.begin(Payer("demo"), Spend()).end(used)


async def with_the_reserve_used_up(gate: Gate) -> None:
    gate.meter.begin(Payer("demo"), Spend()).end(
        {Limit.WEIGHT_1M: 2_400, Limit.ORDERS_10S: 300, Limit.ORDERS_1M: 1_200}
    )


async def with_the_exchange_demanding_silence(gate: Gate) -> None:
    gate.meter.silenced(Way("fapi", ""), 418, 300)


async def with_no_exchange(gate: Gate) -> None:
    gate.rest_door._orders._hosts = dict.fromkeys(("fapi",), "http://127.0.0.1:1")


async def with_another_guard_on_the_desk(gate: Gate) -> None:
    gate.desk.store.taken = lambda: True


CASES = [
    Case("KILL_RUNNING", EXIT, world=LONG, arrange=in_state("account:demo", TradingState.HALTED, kill_running=True)),
    *(
        Case("TRADING_HALTED", arrange=in_state(level, TradingState.HALTED), note=level)
        for level in ("desk", "account:demo", "bot:demo-bot", "symbol:BTCUSDT")
    ),
    Case("TRADING_HALTED", arrange=with_the_sentinel, note="sentinel"),
    Case("REDUCE_ONLY_STATE", arrange=in_state("account:demo", TradingState.REDUCING)),
    Case("DESK_TAKEN", arrange=with_another_guard_on_the_desk),
    Case("STORE_UNAVAILABLE"),
    Case("ACCOUNT_UNKNOWN", world=an_account().unsurveyed()),
    Case("ACCOUNT_STALE", world=an_account().surveyed(600)),
    Case("ACCOUNT_FEED_STALE", world=STALE),
    Case("INSTRUMENTS_UNKNOWN", world=an_account().before_any_list()),
    Case("UNKNOWN_SYMBOL", BUY | {"symbol": "NOSUCH"}),
    Case("SYMBOL_NOT_TRADING", world=an_account().listing("BTCUSDT", trading=False)),
    Case("QUOTE_NOT_JUDGED", world=an_account().listing("BTCUSDT", quote_asset="BTC")),
    Case("MARKET_STALE", world=an_account().marked("BTCUSDT", "50000", seconds_ago=600)),
    Case("CLIENT_ORDER_ID_IN_USE", BUY | {"newClientOrderId": "same"}, arrange=with_one_under_way),
    Case("UNRESOLVED_ORDER", BUY, arrange=with_a_lost_answer),
    Case("SHARE_EXCEEDED", EXIT | {"quantity": "1.5"}, (OwnShare(),), SHARED),
    Case(
        "SHARED_CLOSE",
        {name: text for name, text in STOP.items() if name != "quantity"} | {"closePosition": "true"},
        (OwnShare(),),
        SHARED,
        method="algoOrder.place",
    ),
    Case("SHARE_OPPOSED", BUY | {"side": "SELL"}, (OwnShare(),), SHARED),
    Case(
        "ORDER_NOT_OWNED",
        {"symbol": "BTCUSDT", "orderId": "1"},
        (OwnShare(),),
        an_account().resting(replace(a_resting(), bot="another")),
        method="order.cancel",
    ),
    Case("MARGIN_BUDGET_EXCEEDED", BUY, (BUDGET,)),
    Case("SHARES_UNKNOWN", BUY | {"quantity": "0.1"}, (BUDGET,), LONG),
    Case(
        "EXIT_PRICE_OUTSIDE_COLLAR",
        {**EXIT, "type": "LIMIT", "timeInForce": "GTC", "price": "10000"},
        world=LONG,
    ),
    Case("PRICE_OFF_TICK", LIMIT | {"price": "50000.05"}, (InstrumentFilters(),)),
    Case(
        "PRICE_OUT_OF_RANGE",
        LIMIT,
        (InstrumentFilters(),),
        an_account().listing("BTCUSDT", price_max=Decimal(40000)),
    ),
    Case("QUANTITY_OFF_STEP", BUY | {"quantity": "1.0005"}, (InstrumentFilters(),)),
    Case(
        "QUANTITY_TOO_SMALL",
        BUY,
        (InstrumentFilters(),),
        an_account().listing("BTCUSDT", market_quantity_min=Decimal(2)),
    ),
    Case("QUANTITY_TOO_LARGE", BUY | {"quantity": "5000"}, (InstrumentFilters(),)),
    Case("NOTIONAL_TOO_SMALL", BUY | {"symbol": "DOGEUSDT"}, (InstrumentFilters(),)),
    Case(
        "MESSAGE_RATE_ABOVE_LIMIT",
        BUY,
        (RATE,),
        arrange=with_the_rate_used_up,
    ),
    Case("ORDER_VALUE_ABOVE_LIMIT", BUY, (MaxOrderValue(limit=Decimal(20_000)),)),
    Case("PRICE_OUTSIDE_COLLAR", LIMIT | {"price": "60000"}, (PriceCollar(band=Decimal("0.05")),)),
    Case(
        "PRICE_NOT_KNOWN",
        {name: text for name, text in LIMIT.items() if name != "price"} | {"priceMatch": "OPPONENT"},
        (PriceCollar(band=Decimal("0.05")),),
    ),
    Case("EXIT_NOT_REDUCE_ONLY", BUY | {"side": "SELL"}, (ReduceOnlyExits(),), LONG),
    Case("POSITION_FLIP", BUY | {"side": "SELL", "quantity": "3"}, (ReduceOnlyExits(),), LONG),
    Case("ORDER_TYPE_NOT_ALLOWED", BUY, (OrderTypes(types=(OrderType.LIMIT,)),)),
    Case("TIME_IN_FORCE_NOT_ALLOWED", LIMIT, (OrderTypes(time_in_force=(TimeInForce.GTX,)),)),
    Case("TRIGGER_SOURCE_NOT_ALLOWED", STOP, (TriggerSource(allow=WatchedPrice.MARK),), method="algoOrder.place"),
    Case("ORDER_VOLUME_ABOVE_LIMIT", BUY, (MaxOrderVolume(limit_quantity=Decimal("0.5")),)),
    Case("SELF_TRADE", BUY, (SelfTrade(across=Across.ALL),), an_account().resting(an_offer())),
    Case("GROSS_EXPOSURE_ABOVE_LIMIT", BUY, (ExposureLimits(gross_notional=Decimal(10_000)),)),
    Case("POSITION_MODE_WRONG", BUY, (PositionMode(mode=WantedPositions.HEDGE),)),
    Case("FACTS_UNKNOWN", BUY, (DailyLoss(limit=Decimal(100)),)),
    Case("POSITION_ABOVE_LIMIT", BUY | {"quantity": "1.5"}, (one(),)),
    Case("POSITION_ABOVE_LIMIT", BUY | {"quantity": "1.5"}, (one(),), an_account().long("BTCUSDT", "0.3"), note="some"),
    Case("POSITION_ABOVE_LIMIT", STOP, (one("0.5"),), method="algoOrder.place", note="conditional"),
    Case(
        "POSITION_ABOVE_LIMIT",
        {"symbol": "BTCUSDT", "side": "BUY", "quantity": "9", "price": "50000", "origClientOrderId": "x"},
        (one(),),
        an_account().resting(a_resting()),
        method="order.modify",
        note="amend",
    ),
    Case(
        "AMEND_SIDE_WRONG",
        {"symbol": "BTCUSDT", "side": "SELL", "quantity": "1", "price": "50000", "origClientOrderId": "x"},
        world=an_account().resting(a_resting()),
        method="order.modify",
    ),
    Case("LEVERAGE_ABOVE_LIMIT", BUY | {"quantity": "90"}, (MaxLeverage(limit=Decimal(3)),)),
    Case("CORRELATED_EXPOSURE_ABOVE_LIMIT", BUY, (CorrelatedExposure(limit_notional=Decimal(30_000)),)),
    # A tick of zero: the filters cannot be evaluated.
    Case("RULE_FAILED", LIMIT, (InstrumentFilters(),), an_account().listing("BTCUSDT", tick_size=Decimal(0))),
    Case("AUDIT_UNAVAILABLE", arrange=with_a_full_disk),
    Case("POLICY_UNKNOWN", arrange=with_a_policy_it_cannot_read),
    Case(
        "NOT_RESERVED",
        {"symbol": "BTCUSDT", "side": "BUY", "quantity": "9", "price": "50000", "origClientOrderId": "x"},
        arrange=with_an_amend_that_became_an_entry,
        method="order.modify",
    ),
    Case("CUSTOM_RULE", BUY, (NO_BUYS,)),
    Case("OVERRIDE_USED", BUY, (VALUE,), arrange=with_an_override_that_serves_another_first),
    Case("", BUY, (VALUE,), arrange=with_an_override, note="overridden"),
    Case("", BUY, (VALUE,), resizes=TRIM, note="sized-down"),
    Case("CANNOT_JUDGE", arrange=with_no_exchange),
    Case("VENUE_BUDGET_RESERVED", arrange=with_the_budget_at_the_reserve, note="entry"),
    Case("VENUE_BUDGET_RESERVED", STOP, arrange=with_the_budget_at_the_reserve, method="algoOrder.place", note="stop"),
    Case("VENUE_BUDGET_RESERVED", {}, arrange=with_the_budget_at_the_reserve, method="account.status", note="read"),
    Case("VENUE_SILENCE", arrange=with_the_exchange_demanding_silence, note="entry"),
    Case("VENUE_SILENCE", EXIT, world=LONG, arrange=with_the_exchange_demanding_silence, note="exit"),
    Case("VENUE_SILENCE", {}, arrange=with_the_exchange_demanding_silence, method="account.status", note="read"),
    Case("KEY_DISABLED", arrange=with_a_key_switched_off_in_the_store),
    Case("STALE_TIMESTAMP", BUY | {"timestamp": str(NOW_MS - 60_000)}),
    Case("STALE_TIMESTAMP", BUY | {"timestamp": str(NOW_MS + 1_000)}, note="ahead"),
    Case("MALFORMED", BUY | {"quantity": "-1"}),
    Case("MALFORMED", {name: text for name, text in BUY.items() if name != "side"}, note="side"),
    Case("UNKNOWN_PARAMETER", BUY | {"reduceonly": "true"}),
    Case("RESERVED_CLIENT_ID", BUY | {"newClientOrderId": "pgk-1"}),
    *(
        Case("CLIENT_ID_TOO_LONG", sent | {name: "x" * 33}, method=method, note=method)
        for method, sent, name in (
            ("order.place", BUY, "newClientOrderId"),
            ("algoOrder.place", STOP, "clientAlgoId"),
            ("order.cancel", {"symbol": "BTCUSDT"}, "origClientOrderId"),
            ("order.status", {"symbol": "BTCUSDT"}, "origClientOrderId"),
        )
    ),
    Case("VENUE_UNREACHABLE", {}, arrange=with_the_exchange_gone, method="account.status"),
    Case("VENUE_UNREACHABLE", {}, (OwnShare(),), SHARED, with_an_odd_answer, "account.position", note="not-understood"),
    Case("", BUY, note="entry"),
    Case("", LIMIT | {"quantity": "1e-02"}, note="spelled"),
    Case("", EXIT, (one("0.1"),), LONG, note="exit"),
    Case("", EXIT, (), LONG, in_state("desk", TradingState.HALTED), note="exit-halted"),
    Case("", BUY | {"side": "SELL"}, (ReduceOnlyExits(mode=ExitMode.FORCE),), LONG, note="forced"),
    Case("", EXIT, world=LONG, arrange=with_the_reserve_used_up, note="exit-on-the-reserve"),
    Case(
        "",
        {"symbol": "BTCUSDT", "origClientOrderId": "x"},
        arrange=with_the_reserve_used_up,
        method="order.cancel",
        note="cancel-on-the-reserve",
    ),
    Case("", STOP, method="algoOrder.place", note="conditional"),
    Case("", {"symbol": "BTCUSDT", "origClientOrderId": "x"}, method="order.cancel", note="cancel"),
    Case("", {"algoId": "7"}, method="algoOrder.cancel", note="cancel-algo"),
    Case("", {"symbol": "BTCUSDT", "orderId": "7"}, method="order.status", note="status"),
    Case("", {}, method="v2/account.position", note="positions"),
    Case("", {}, method="account.status", note="account"),
    Case("", {"symbol": "BTCUSDT"}, (OwnShare(),), SHARED, with_positions, "v2/account.position", note="own-share"),
    Case("", {"symbol": "BTCUSDT", "orderId": "7"}, (OwnShare(),), SHARED, method="order.status", note="not-owned"),
    Case("", BUY, arrange=with_the_exchange_refusing, note="refused-by-the-exchange"),
    Case("", BUY, arrange=with_the_exchange_gone, note="answer-lost"),
    Case("", BUY, arrange=with_a_gateway_in_between, note="gateway"),
]

NOT_THE_GUARDS = ("refused-by-the-exchange", "answer-lost", "gateway", "not-owned")
"""Errors in the exchange's words."""

# Codes without a case here, and why.
CANNOT_BE_MET = {
    "SET_LEVERAGE_ABOVE_LIMIT",  # No method sets leverage,
    "SETTING_NOT_OWNED",  # nor anything else of the account,
    "ACCOUNT_WIDE",  # nor reaches all its orders,
    "BATCH_REFUSED",  # nor takes several,
    *("TOO_MANY_TIMERS", "TIMER_NOT_KEPT", "LEASE_NOT_KEPT"),  # nor sets a timer or takes a lease.
}
ABOUT_ONE_DOOR = {
    # Who asks, and how: test_identity, test_trading, test_protocol.
    *("UNAUTHORISED", "BAD_SIGNATURE", "REPLAYED", "LOGON_KEY_KIND", "TOO_MANY_UNDER_WAY"),
    "OTHER_BOTS_CONNECTION",
    *("UNKNOWN_ROUTE", "INTERNAL"),
    # Sockets themselves: test_socket, test_relay.
    *("CROSS_SITE", "TOO_MANY_SOCKETS", "UNKNOWN_STREAM", "TOO_MANY_STREAMS", "UNKNOWN_OPERATION"),
    "TOO_MANY_MESSAGES",
}


# A rule sees a command and a picture, never a door. What these look at in a command is sent through both doors by the
# case of another rule already, and the rest is the picture's: tests/rules.
ON_FACTS_ALONE = (
    *("staged_response", "execution_throttle", "order_to_fill", "cool_down", "anti_slicing", "duplicate_order"),
    *("maintenance_window", "delisting", "latency_shock", "price_divergence", "book_quality", "funding_window"),
    *("slippage_forecast", "liquidation_forecast", "volatility_scaling", "leverage_temperature", "price_collar"),
    *("conditional_probation", "funding_probation", "new_bot_ramp", "margin_mode", "position_mode", "max_order_volume"),
    *("liquidation_distance", "protective_stop", "adl_rank", "exposure_limits", "concentration", "correlated_exposure"),
    *("daily_loss", "drawdown", "profit_lock"),
)


TOLD_SMALLER = {"sized-down": "1 -> 0.02"}
TOLD_OVERRIDE = {"overridden": "o1"}


def test_every_code_an_order_can_meet_has_its_case() -> None:
    by_facts = {code for rule_id in ON_FACTS_ALONE for code in CATALOG[rule_id].codes}
    met = codes_in_the_source() - CANNOT_BE_MET - ABOUT_ONE_DOOR
    cases = {case.code for case in CASES} - {""}
    assert cases <= met
    assert met - cases <= by_facts


def test_every_method_that_moves_money_has_a_case() -> None:
    judged = {method for method in TARGETS if "place" in method or "modify" in method or "cancel" in method}
    assert judged <= {case.method for case in CASES}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(tmp_path_factory.mktemp("store")) as started:
        yield started


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.in_directory(tmp_path_factory.mktemp("vault"))


@asynccontextmanager
async def a_gate(case: Case, server: EmbeddedStore, keys: Keys, directory: Path) -> AsyncIterator[Gate]:
    """A gate at a new desk that knows the case's world."""
    desk = Desk(server, directory / f"gate{next(_directories)}")
    async with an_exchange() as exchange:
        gate = Gate(desk, keys, exchange, *case.rules, resizes=case.resizes)
        await desk.warden.begin_epoch()
        if case.world.account is not None:
            await desk.knows(case.world)
        else:
            await desk.warden.publish_markets("binanceusdm", "1", case.world.markets)
            await desk.warden.publish_instruments("binanceusdm", "1", case.world.instruments)
        if case.arrange is not None:
            await case.arrange(gate)
        yield gate
        await gate.aclose()
        await desk.aclose()


def named(case: Case) -> dict[str, Any]:
    """The call with a client id of its own, so that both doors' orders bear the same."""
    name = {"order.place": "newClientOrderId", "algoOrder.place": "clientAlgoId"}.get(case.method)
    return ({name: "mine"} if name is not None else {}) | dict(case.sent)


async def seen_at(gate: Gate) -> dict[str, Any]:
    """What is left behind: what the exchange was asked, what the audit says, what is held."""
    gate.desk.store.taken = lambda: False  # We look, and are of no guard.
    records = [_comparable(record) for record in await gate.desk.audit()]
    held = [(hold.status, hold.orders) for hold in (await gate.desk.holds()).values()]
    return {"exchange": gate.exchange.orders(), "audit": records, "held": held}


def _comparable(record: Any) -> Any:
    """A record without what names one request among others."""
    match record:
        case {"holds": [*holds]}:  # By place: an id is the first.
            return _comparable({**record, "holds": None}) | {"holds": [hold[1:] for hold in holds]}
        case dict():
            own = {"id", "desk", "sent_at", "answered_at", "hold_id", "at", "now", "key_hint"}
            return {name: _comparable(value) for name, value in record.items() if name not in own}
        case list():
            return [_comparable(value) for value in record]
        case _:
            return record


@dataclass
class Told:
    """What a bot was told, and in how many seconds to come again."""

    status: int
    body: Any
    wait_s: int | None

    @classmethod
    def in_a_frame(cls, frame: dict[str, Any]) -> Told:
        """Seconds are a moment there, beside the exchange's own time."""
        said = frame.get("error", frame.get("result"))
        when = said.pop("data", None) if "error" in frame else None
        return cls(frame["status"], said, (when["retryAfter"] - when["serverTime"]) // 1000 if when else None)


@pytest.mark.parametrize("asked", CASES, ids=str)
async def test_both_doors_say_the_same(
    asked: Case, server: EmbeddedStore, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if asked.code == "STORE_UNAVAILABLE":
        monkeypatch.setattr("proxy.store.hold_script.AUDIT_LENGTH_MAX", 0)
    monkeypatch.setattr("proxy.gate.second_look.PAUSES_S", (0.01,))
    sent = {"timestamp": str(NOW_MS)} | named(asked)

    async with a_gate(asked, server, keys, tmp_path) as gate:
        answer = await gate.rest(*TARGETS[asked.method], sent)
        headers, left_by_rest = answer.headers, await seen_at(gate)
        wait_s = int(headers["retry-after"]) if "retry-after" in headers else None
        by_rest = Told(answer.status_code, answer.json(), wait_s)
    async with a_gate(asked, server, keys, tmp_path) as gate, gate.socket() as socket:
        frame = await socket.ask(a_frame(keys, asked.method, sent, frame_id="mine"))
        by_frame, left_by_frame = Told.in_a_frame(frame), await seen_at(gate)
        assert socket.closed is None

    assert (frame["id"], frame["rateLimits"]) == ("mine", [])
    assert headers.get("x-guard-trimmed") == frame.get("guard", {}).get("trimmed") == TOLD_SMALLER.get(asked.note)
    assert headers.get("x-guard-override") == TOLD_OVERRIDE.get(asked.note)
    assert by_frame == by_rest
    assert left_by_frame == left_by_rest
    if asked.code:
        assert f" {asked.code}: " in by_frame.body["msg"]
        assert "result" not in frame
        if (headroom := headers.get("x-guard-headroom")) is not None and asked.code != "UNKNOWN_SYMBOL":
            assert f"largest quantity allowed now {headroom}" in by_frame.body["msg"]
    else:
        assert ("error" in frame) is (asked.note in NOT_THE_GUARDS)
        assert left_by_frame["exchange"]


SIGNED = [("hmac", False), ("ed25519", False), ("ed25519", True)]


@pytest.mark.parametrize(("kind", "logged_on"), SIGNED, ids=["hmac", "ed25519", "logged-on"])
async def test_however_a_frame_is_authenticated_the_verdict_is_the_same(
    kind: str, logged_on: bool, server: EmbeddedStore, keys: Keys, tmp_path: Path
) -> None:
    case = Case("POSITION_ABOVE_LIMIT", BUY | {"quantity": "1.5"}, (one(),))
    key = getattr(keys, kind)
    async with a_gate(case, server, keys, tmp_path) as gate, gate.socket() as socket:
        by_rest = await gate.rest("POST", "/fapi/v1/order", {"timestamp": str(NOW_MS)} | named(case), key)
        if logged_on:
            assert (await socket.ask(a_frame(keys, "session.logon", {}, key)))["status"] == 200
            frame = a_bare_frame("order.place", named(case))
        else:
            frame = a_frame(keys, "order.place", named(case) | {"recvWindow": 4000}, key)
        by_frame = await socket.ask(frame)
    assert by_frame["error"] == by_rest.json()
    assert "largest quantity allowed now 1" in by_frame["error"]["msg"]
