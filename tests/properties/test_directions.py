"""Each setting says itself which way is looser; here every one that says so is turned both ways, and must be right.

A direction that is the wrong way round makes `policy diff` call a loosening a tightening. Two random settings of one
rule seldom differ on a random order, so every setting is tried at every rung of a ladder, from the loosest to the
tightest: on pictures in which each of them decides, and on random ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.fields import kinds_of
from rules.catalog import CATALOG
from rules.facts import Holding, PriceRange, Unprotected
from rules.market.delisting import Delisting
from rules.market.maintenance_window import MaintenanceWindow, Window
from rules.model import Command, MarginMode, OrderType, PositionSide, Side, TimeInForce
from rules.objections import breaches_of
from rules.portfolio.correlated_exposure import CorrelatedExposure
from rules.rule import Looser, Rule, Setting
from rules.snapshot import Snapshot
from tests.properties.rule_strategies import an_example, enforced, settings_of
from tests.properties.strategies import TIERS, books, commands, examples, worlds
from tests.rules.builders import NOW, World, a_buy, a_sell, an_account, an_open_order

WHOLE: Final = (1, 2, 3, 4, 5, 10, 15, 20, 30, 45, 60, 100, 200, 300, 600, 900, 1800, 3600, 7200, 86_400, 200_000)
PARTS: Final = [
    "0.0001",
    "0.001",
    "0.005",
    "0.01",
    "0.02",
    "0.05",
    "0.1",
    "0.2",
    "0.3",
    "0.4",
    "0.5",
    "0.6",
    "0.7",
    "0.8",
    "0.9",
    "0.95",
    "0.99",
    "1",
]
MONEY: Final = [
    "1.5",
    "2",
    "3",
    "5",
    "10",
    "20",
    "40",
    "100",
    "500",
    "1000",
    "5000",
    "20000",
    "50000",
    "100000",
    "200000",
    "1000000",
    "10000000",
]

ELSEWHERE: Final = {
    "message_rate.cancels": "how the store counts a cancel",
    "message_rate.per_second": "how fast the store fills the bucket",
    "protective_stop.replace_s": "what the warden waits for after a cancel",
    "staged_response.alert_at": "what is written down of an entry that passes",
    "latency_shock.alert_ratio": "what is written down of an entry that passes",
}
"""Directed settings that decide nothing of a picture, and what they are about."""

_HOUR: Final = timedelta(hours=1)
_LATER, _NOW = (Window(begins=NOW + start * _HOUR, ends=NOW + 3 * _HOUR) for start in (2, -1))
_BASES: Final[Mapping[str, Rule]] = {
    "correlated_exposure.stress_floor": CorrelatedExposure(limit_equity=Decimal(3)),
    "delisting.ahead_s": Delisting(dates={"BTCUSDT": NOW + 12 * _HOUR}),
    "delisting.dates": Delisting(dates={"BTCUSDT": NOW + 12 * _HOUR}, ahead_s=3600),
    "maintenance_window.windows": MaintenanceWindow(windows=(_LATER, _NOW), ahead_s=60),
    "maintenance_window.ahead_s": MaintenanceWindow(windows=(_LATER,)),
}
"""Where a rule's own example is of other days, or another of its settings decides before."""


def _rungs(value: Any, hint: Any) -> list[Any]:
    """What the setting may be, the lowest first."""
    kinds = kinds_of(hint)
    if bool in kinds:
        return [False, True]
    if int in kinds:
        return list(WHOLE)
    if Decimal in kinds:
        return [Decimal(each) for each in (*PARTS, *MONEY)]
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return list(kind)
    match value:
        case tuple():
            return [value[:length] for length in range(len(value) + 1)]
        case Mapping():
            return [{key: _moved(each, times) for key, each in value.items()} for times in range(-3, 4)]
    return []


def _moved(value: Any, times: int) -> Any:
    return value + times * 4 * _HOUR if isinstance(value, datetime) else value * Decimal(10) ** times


def _ladder(rule: Rule, name: str, hint: Any, setting: Setting) -> list[Rule]:
    """The rule with the setting at each rung, the loosest first. What the rule does not take is left out."""
    rungs = _rungs(getattr(rule, name), hint)
    if setting.looser is Looser.HIGHER:
        rungs.reverse()
    optional = type(None) in getattr(hint, "__args__", ())
    return [step for rung in ([None, *rungs] if optional else rungs) if (step := _with(rule, name, rung)) is not None]


def _with(rule: Rule, name: str, value: Any) -> Rule | None:
    try:
        return replace(rule, **{name: value})
    except (ValueError, ArithmeticError):
        return None


def _alone(rule: Rule, name: str) -> Rule:
    """The rule without the optional settings beside ``name``, so far as it takes that."""
    for other, (hint, _) in settings_of(type(rule)).items():
        if other != name and type(None) in getattr(hint, "__args__", ()):
            rule = _with(rule, other, None) or rule
    return rule


def _directed() -> Iterator[tuple[str, list[list[Rule]]]]:
    """Each directed setting of the catalog, and its ladders: the rule as in its example, and with nothing beside it."""
    for kind in CATALOG.values():
        for name, (hint, setting) in settings_of(kind).items():
            place = f"{kind.rule_id}.{name}"
            if setting.looser is Looser.NEITHER or place in ELSEWHERE:
                continue
            rule = _BASES.get(place) or an_example(kind)
            assert rule is not None, f"{kind.rule_id} has settings and no example"
            bases = (enforced(rule), _alone(enforced(rule), name))
            yield place, [_ladder(base, name, hint, setting) for base in bases]


LADDERS: Final = dict(_directed())


def _climb(ladder: Sequence[Rule], command: Command, snapshot: Snapshot) -> bool:
    """Whether the setting decides here; it must not let more through the higher one climbs."""
    refused = [bool(breaches_of([rule], command, snapshot)) for rule in ladder]
    assert refused == sorted(refused), f"{command}: {list(zip(ladder, refused, strict=True))}"
    return len(set(refused)) > 1


def _known(seconds_ago: float) -> World:
    """A world with something for every rule to judge by, measured so long ago."""
    ago = NOW - timedelta(seconds=seconds_ago)
    world = an_account().worth("20000")
    for symbol in ("BTCUSDT", "ETHUSDT", "DOGEUSDT"):
        world = world.listing(symbol, tiers=TIERS).setting(symbol, MarginMode.CROSS)
    world = world.marked(
        "BTCUSDT",
        "50000",
        seconds_ago=seconds_ago,
        bid_price="49950",
        ask_price="50050",
        last_price="50300",
        index_price="50200",
        funding_rate="0.0007",
        next_funding_at=NOW + timedelta(minutes=10),
    )
    world = world.sharing("demo-bot", "BTCUSDT", "0.2", "51000").sharing("other-bot", "ETHUSDT", "-2")
    world = world.ranked("BTCUSDT", 2).with_assets(True)
    world = world.in_conditions(
        "BTCUSDT",
        seconds_ago=seconds_ago,
        daily_volume="500",
        open_interest="1000",
        volatility="0.04",
        volatility_usual="0.01",
        bid_depth="60000",
        ask_depth="60000",
        temperature="0.85",
        ranges=(PriceRange(window_s=300, as_of=ago, low=Decimal(49_000), high=Decimal(51_000)),),
    )
    slow = {"round_trip_ms": "700", "round_trip_usual_ms": "100", "clock_skew_ms": "5", "clock_skew_usual_ms": "5"}
    world = world.with_latency(seconds_ago=seconds_ago, **slow).correlating(BTCUSDT__ETHUSDT="0.7")
    results = {
        "day_pnl": "-300",
        "day_funding": "-60",
        "rolling_pnl": "-300",
        "rolling_funding": "-60",
        "day_peak": "800",
        "equity": "20000",
        "equity_peak": "24000",
        "losses": tuple(NOW - timedelta(seconds=each) for each in (1500, 900, 500, 400)),
        "loss_streak": 4,
    }
    world = world.performing(**results).known_bot("demo-bot", days=10, orders=400, fills=5)
    assert world.record is not None
    bot = replace(world.record.bots[0], clean_since=NOW - timedelta(days=2), performance=world.record.performance)
    since = NOW - timedelta(seconds=40)
    bare = Unprotected(symbol="BTCUSDT", position_side=PositionSide.BOTH, since=since)
    world = world.recorded(bots=(bot,), unprotected=(bare,))
    world = world.forecasting("liquidation", 0.05).forecasting("slippage", 0.15, threshold=Decimal("0.01"))
    return world.scored(0.7).scored(0.85, "desk").with_tokens("message_rate@desk", "6").behaving(0.5)


def _proven() -> World:
    """A world whose record speaks against nothing, but for a stop that is not there yet."""
    holding = Holding(symbol="BTCUSDT", funding_stamps=3, conditional_proven=True)
    world = an_account().sharing("demo-bot", "BTCUSDT", "0.2").performing().performing(of="demo-bot")
    bare = Unprotected(symbol="BTCUSDT", position_side=PositionSide.BOTH, since=NOW - timedelta(seconds=5))
    return world.known_bot("demo-bot", orders=100, fills=50, holdings=(holding,)).recorded(unprotected=(bare,))


def _pictures() -> Iterator[World]:
    """Worlds in which every directed setting decides over one of ``ORDERS``."""
    for seconds_ago in (0, 12, 150, 1000):
        world = _known(seconds_ago)
        yield world.recorded(seconds_ago=seconds_ago)
        yield world.marked("BTCUSDT", "50000", seconds_ago=seconds_ago)
    world = _known(0)
    order = a_buy("BTCUSDT", "0.1", "50000")
    yield world.worth("2000")
    yield world.performing(day_pnl="300", day_peak="800").having_tried(order, seconds_ago=1)
    yield world.performing(of="demo-bot", losses=(NOW - timedelta(seconds=1500),), loss_streak=4)
    often = world
    for _ in range(25):
        often = often.having_tried(order, seconds_ago=50)
    yield often
    for seconds_ago in (12, 150, 1000):
        yield _proven().surveyed(seconds_ago).recorded(seconds_ago=seconds_ago)
    for seconds_ago in (2, 50):
        yield world.having_tried(order, seconds_ago=seconds_ago).having_tried(order, seconds_ago=seconds_ago)
        yield world.having_tried(order, seconds_ago=seconds_ago, refused_at_size="0.05")
        yield world.losing(order, seconds_ago=20 * seconds_ago)
    yield world.resting(an_open_order(Side.SELL, "BTCUSDT", "0.1", "49990", bot="demo-bot"))
    yield world.resting(an_open_order(Side.SELL, "BTCUSDT", "0.1", "53000", bot="other-bot"))
    trailing = an_open_order(
        Side.SELL, "BTCUSDT", "0.2", None, order_type=OrderType.TRAILING_STOP_MARKET, reduce_only=True
    )
    yield world.resting(trailing)
    for trigger in ("48000", "50900"):
        stop = {"order_type": OrderType.STOP_MARKET, "trigger_price": trigger, "reduce_only": True}
        yield world.resting(an_open_order(Side.SELL, "BTCUSDT", "0.2", None, **stop))
    yield an_account().worth("26200").long("BTCUSDT", "1").long("ETHUSDT", "10")
    yield an_account().worth("26200").long("BTCUSDT", "1").short("ETHUSDT", "10")


ORDERS: Final = (
    a_buy("BTCUSDT", "0.1", "50000"),
    a_buy("BTCUSDT", "0.1", "52000"),
    a_sell("BTCUSDT", "0.1", "50000"),
    a_sell("BTCUSDT", "0.1", "49000", reduce_only=True),
    a_sell("BTCUSDT", "0.1", "30000", reduce_only=True),
    a_buy("BTCUSDT", "0.1", "50000", time_in_force=TimeInForce.GTX),
    a_buy("DOGEUSDT", "10000"),
    a_sell("ETHUSDT", "1"),
    a_buy("BTCUSDT", "0.01", order_type=OrderType.STOP_MARKET, trigger_price="50500"),
)


def test_every_directed_setting_decides_somewhere_and_is_never_looser_the_tighter_it_is_set() -> None:
    decides = set()
    for world in _pictures():
        snapshot = world.snapshot
        for command in ORDERS:
            for place, ladders in LADDERS.items():
                climbed = [_climb(ladder, command, snapshot) for ladder in ladders]
                if any(climbed):
                    decides.add(place)
    assert LADDERS.keys() - decides == set(), "add a picture in which these decide"


@given(st.data(), st.one_of(books(), worlds()))
@examples(80)
def test_nor_is_any_in_a_world_of_any_kind(data: st.DataObject, world: World) -> None:
    command, snapshot = data.draw(commands(world)), world.snapshot
    for ladders in LADDERS.values():
        for ladder in ladders:
            _climb(ladder, command, snapshot)


def test_what_decides_nothing_of_a_picture_is_a_directed_setting_all_the_same() -> None:
    directed = {
        f"{kind.rule_id}.{name}"
        for kind in CATALOG.values()
        for name, (_, setting) in settings_of(kind).items()
        if setting.looser is not Looser.NEITHER
    }
    assert directed >= ELSEWHERE.keys()
