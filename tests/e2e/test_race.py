"""Law 3: fifty orders at once with room for thirty end as exactly thirty at the exchange, a hundred times in a row."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from itertools import cycle, product
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.bot_sockets import TradingSocket, a_trading_socket, guard_code
from tests.support.policies import a_policy, a_rule
from tests.support.practice_client import Bot, order_params
from tests.support.worlds import LiveWorld, until

ROUNDS, AT_ONCE, ROOM = 100, 50, 30
FRAME_ROUNDS = 10
MIXED_ROUNDS = 6

LEVERAGE, EQUITY = Decimal("0.5"), Decimal("0.35")
RHO, FLOOR, CREDIT = Decimal("0.6"), Decimal("0.8"), Decimal("0.5")


@pytest.fixture(scope="module")
def equal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(a_rule("symbol.BTCUSDT.position_limit", limit_quantity=0.30))
    directory: Path = tmp_path_factory.mktemp("race")
    with LiveWorld(directory / "data", policy, survey_every_s=0.1, balance=1_000_000, gate_workers=4) as world:
        yield world


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    exposure = a_rule(
        "desk.correlated_exposure",
        limit_equity=EQUITY,
        default=RHO,
        stress_floor=FLOOR,
        hedge_credit=CREDIT,
    )
    policy = a_policy(a_rule("desk.max_leverage", limit=LEVERAGE), exposure)
    directory: Path = tmp_path_factory.mktemp("mixed")
    with LiveWorld(
        directory / "data", policy, survey_every_s=0.2, balance=1_000_000, gate_workers=4, bots=("one", "two")
    ) as world:
        yield world


def crowd() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    return httpx.AsyncClient(limits=limits, timeout=30, trust_env=False)


async def at_once(client: httpx.AsyncClient, orders: Sequence[tuple[Bot, dict[str, Any]]]) -> list[httpx.Response]:
    requests = [bot.request("POST", "/fapi/v1/order", **params) for bot, params in orders]
    return list(await asyncio.gather(*(client.send(request) for request in requests)))


def sweep(world: LiveWorld, *symbols: str) -> None:
    """Cancel everything through the guard and wait until it has seen that at the exchange, every hold gone."""
    for symbol in symbols:
        world.bot.cancel_all(symbol).raise_for_status()

    def swept() -> bool:
        account = world.account()
        return account["holds"] == account["open_orders"] == 0

    until(swept, "no hold and no open order is left", timeout_s=60, every_s=0.02)


async def test_the_first_burst_after_a_start_is_no_outage_of_the_store(equal: LiveWorld) -> None:
    async with crowd() as client:
        await one_round(equal, client, "cold")


async def test_fifty_orders_with_room_for_thirty_are_thirty_a_hundred_times(equal: LiveWorld) -> None:
    sweep(equal, "BTCUSDT")
    began = time.monotonic()
    async with crowd() as client:
        for number in range(ROUNDS):
            await one_round(equal, client, f"round {number}")
            sweep(equal, "BTCUSDT")
    print(f"{ROUNDS} rounds in {time.monotonic() - began:.1f} s")


async def test_it_is_thirty_whichever_door_they_come_through(equal: LiveWorld) -> None:
    sweep(equal, "BTCUSDT")
    async with crowd() as client, a_trading_socket(equal.bot) as first, a_trading_socket(equal.bot) as second:
        # Two requests, then a frame on either socket, and so on: neither door is ahead of the other.
        doors = [by_rest(equal, client), by_rest(equal, client), by_frame(first), by_frame(second)]
        for number in range(FRAME_ROUNDS):
            await one_round(equal, client, f"round {number}", doors)
            sweep(equal, "BTCUSDT")


Sender = Callable[[dict[str, Any]], Awaitable[int | str]]
"""Sends one order and answers with the guard's code, or with the status."""


def by_rest(world: LiveWorld, client: httpx.AsyncClient) -> Sender:
    async def send(params: dict[str, Any]) -> int | str:
        answer = await client.send(world.bot.request("POST", "/fapi/v1/order", **params))
        code: int | str = answer.headers.get("x-guard-code", answer.status_code)
        return code

    return send


def by_frame(socket: TradingSocket) -> Sender:
    async def send(params: dict[str, Any]) -> int | str:
        answer = await socket.ask("order.place", **params)
        status: int = answer["status"]
        return status if status == 200 else guard_code(answer["error"])

    return send


async def one_round(
    world: LiveWorld, client: httpx.AsyncClient, name: str, doors: Sequence[Sender] | None = None
) -> None:
    door = world.door
    door.clear()
    price = int(door.mark_price("BTCUSDT") * 2 / 3)
    orders = [order_params("BTCUSDT", "BUY", "0.01", price) for _ in range(AT_ONCE)]
    senders = cycle(doors or [by_rest(world, client)])
    codes = Counter(await asyncio.gather(*(send(params) for send, params in zip(senders, orders, strict=False))))
    arrived = Counter(entry["status"] for entry in door.log())
    assert arrived[200] <= ROOM, f"{name}: more than there was room for: {arrived}"
    assert codes == {200: ROOM, "POSITION_ABOVE_LIMIT": AT_ONCE - ROOM}, f"{name}: {codes}"
    assert arrived == {200: ROOM}, f"{name}: {arrived}"
    assert len(world.direct.open_orders()) == ROOM, name


async def test_mixed_sizes_of_two_bots_never_leave_the_serial_bounds(mixed: LiveWorld) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    bots, door = [mixed.bot_named("one"), mixed.bot_named("two")], mixed.door
    marks = {symbol: Decimal(str(door.mark_price(symbol))) for symbol in ("BTCUSDT", "ETHUSDT")}
    balance = Decimal(mixed.account()["margin_balance"])
    tightest = Decimal(0)
    async with crowd() as client:
        for number in range(MIXED_ROUNDS):
            door.clear()
            both_sides = number % 2 == 1
            answers = await at_once(
                client, [(chance.choice(bots), random_order(chance, marks, both_sides)) for _ in range(AT_ONCE)]
            )
            accepted = [entry["params"] for entry in door.log() if entry["status"] == 200]
            assert len(accepted) == sum(answer.status_code == 200 for answer in answers)
            assert 0 < len(accepted) < AT_ONCE, f"seed {seed}: round {number} proves nothing"
            tightest = max(tightest, check_every_instant(accepted, marks, balance, f"seed {seed}, round {number}"))
            sweep(mixed, *marks)
    assert tightest > Decimal("0.8"), f"seed {seed}: the bounds were never approached"


def random_order(chance: random.Random, marks: dict[str, Decimal], both_sides: bool) -> dict[str, Any]:
    """A resting order of random size, worth 5,000 to 40,000, far from the mark."""
    symbol = chance.choice(sorted(marks))
    side = chance.choice(("BUY", "SELL")) if both_sides else "BUY"
    quantity = (Decimal(chance.randrange(5_000, 40_000)) / marks[symbol]).quantize(Decimal("0.001"))
    away = Decimal("0.96") if side == "BUY" else Decimal("1.04")
    return order_params(symbol, side, quantity, (marks[symbol] * away).quantize(Decimal(1)))


def check_every_instant(
    accepted: Sequence[dict[str, str]], marks: dict[str, Decimal], balance: Decimal, where: str
) -> Decimal:
    """One after another in order of arrival, by plain arithmetic; how close to a bound it came at most."""
    buys, sells = dict.fromkeys(marks, Decimal(0)), dict.fromkeys(marks, Decimal(0))
    closest = Decimal(0)
    for place, order in enumerate(accepted):
        symbol = order["symbol"]
        worth = Decimal(order["quantity"]) * max(Decimal(order["price"]), marks[symbol])
        (buys if order["side"] == "BUY" else sells)[symbol] += worth
        leverage = sum(max(buys[each], sells[each]) for each in marks) / balance
        exposure = worst_exposure(buys, sells) / balance
        assert leverage <= LEVERAGE, f"{where}: after order {place} leverage could be {leverage}"
        assert exposure <= EQUITY, f"{where}: after order {place} correlated exposure could be {exposure}"
        closest = max(closest, leverage / LEVERAGE, exposure / EQUITY)
    return closest


def worst_exposure(buys: dict[str, Decimal], sells: dict[str, Decimal]) -> Decimal:
    """The largest root of a² + b² + 2ρab over what could fill: none, all buys or all sells of each symbol."""
    first, second = sorted(buys)
    worst = Decimal(0)
    for a, b in product((Decimal(0), buys[first], -sells[first]), (Decimal(0), buys[second], -sells[second])):
        rho = max(RHO, FLOOR) if a * b >= 0 else RHO * CREDIT
        worst = max(worst, a * a + b * b + 2 * rho * a * b)
    return worst.sqrt()
