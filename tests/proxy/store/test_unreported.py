"""A lost order that another version of the guard wrote: what may repeat it is refused, and nothing else ends."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from proxy.store.codec import dump
from proxy.store.conversion import NOTHING
from proxy.store.gate_store import GateStore
from proxy.store.keys import Keys
from proxy.store.trouble import StoreUnavailable
from proxy.store.unreported import unreported_field
from proxy.store.warden_store import WardenStore
from rules.account import Account, Amendment, HeldOrder, Position, UnreportedOrder
from rules.model import PositionSide, Side
from tests.proxy.accounts.builders import a_resting_order
from tests.proxy.store.builders import a_held_order, a_request, an_account_of
from tests.rules.builders import NOW

LOST = UnreportedOrder(bot="demo-bot", hold_id="h0", at=NOW, order=replace(a_held_order(), client_order_id="n0"))
READABLE = replace(LOST, order=replace(LOST.order, client_order_id="n1"))

SHAPES = {
    "a name changed": dump(LOST).decode().replace('"quantity"', '"size"'),
    "a word changed": dump(LOST).decode().replace('"BUY"', '"LONG"'),
    "folded": json.dumps({"v": 2, "lost": json.loads(dump(LOST))}),
    "by place": '[2,"demo-bot","h0",["BTCUSDT","n0",1]]',
    "nested without end": dump(LOST).decode()[:-1] + ',"x":' + "[" * 20_000 + "]" * 20_000 + "}",
}


@pytest.fixture(params=SHAPES)
async def lost(request: pytest.FixtureRequest, raw: Redis, keys: Keys) -> str:
    """The field of one, beside one that can be read and is of another hold."""
    field = unreported_field(LOST)
    await raw.hset(keys.unreported("demo"), field, SHAPES[request.param])  # type: ignore[misc]  # typed for both clients
    await raw.hset(keys.unreported("demo"), unreported_field(READABLE), dump(READABLE))  # type: ignore[misc]
    return field


async def test_its_bot_s_entries_in_its_symbol_are_refused_and_hold_nothing(
    gate: GateStore, warden: WardenStore, lost: str
) -> None:
    with pytest.raises(StoreUnavailable, match="unreadable"):
        await gate.hold(a_request("h1", orders=(a_held_order("ETHUSDT"), a_held_order())))
    async with asyncio.timeout(10):
        while await warden.holds("demo"):
            await asyncio.sleep(0.01)


AMEND = replace(
    a_held_order(),
    replaces="7",
    amendment=Amendment(order_id="7", client_order_id=None, quantity=Decimal(1), price=None),
)


@pytest.mark.parametrize(
    ("bot", "orders"),
    [
        ("other-bot", (a_held_order(),)),
        ("demo-bot", (a_held_order("ETHUSDT"),)),
        ("demo-bot", (a_held_order("BTCUSD"),)),
        ("demo-bot", (AMEND,)),
        ("demo-bot", ()),
    ],
    ids=["another bot", "another symbol", "a part of its name", "an amend", "no entry"],
)
async def test_whatever_else_is_asked_for_is_judged(
    gate: GateStore, lost: str, bot: str, orders: tuple[HeldOrder, ...]
) -> None:
    seen = await gate.hold(a_request("h1", bot=bot, orders=orders, reserve=bool(orders)))
    assert seen.unreported == (READABLE,)


async def test_a_bot_that_asks_is_told_of_the_others(gate: GateStore, lost: str) -> None:
    assert await gate.unreported("demo") == (READABLE,)


def a_position(symbol: str, quantity: str) -> Position:
    return Position(
        symbol=symbol,
        position_side=PositionSide.BOTH,
        quantity=Decimal(quantity),
        entry_price=Decimal(1),
        mark_price=Decimal(1),
    )


async def show(warden: WardenStore, account: Account) -> None:
    await warden.publish_events(account, conversion=NOTHING, resolved=(), desk="desk")


@pytest.mark.parametrize(
    "account",
    [
        an_account_of(1, positions=(a_position("BTCUSDT", "-1"),)),
        an_account_of(1, open_orders=(a_resting_order("any", Side.SELL, "1"),)),
    ],
    ids=["a position on either side", "a resting order of any name"],
)
async def test_it_is_kept_while_anything_of_its_symbol_is_there(
    warden: WardenStore, raw: Redis, keys: Keys, lost: str, account: Account
) -> None:
    await show(warden, account)
    await warden.forget_spent("demo")
    assert lost in await raw.hkeys(keys.unreported("demo"))  # type: ignore[misc]
    await show(warden, an_account_of(2, positions=(a_position("ETHUSDT", "1"),)))
    await warden.forget_spent("demo")
    assert await raw.hkeys(keys.unreported("demo")) == []  # type: ignore[misc]


async def test_it_is_kept_while_its_hold_is_there(
    gate: GateStore, warden: WardenStore, raw: Redis, keys: Keys, lost: str
) -> None:
    await show(warden, an_account_of(1))
    await gate.hold(a_request("h0", bot="other-bot"))
    await gate.hold(a_request("h9", bot="other-bot"))
    await warden.forget_spent("demo")
    assert lost in await raw.hkeys(keys.unreported("demo"))  # type: ignore[misc]
    await gate.settle("demo", "h0", "RELEASE", [])
    await warden.forget_spent("demo")
    assert await raw.hkeys(keys.unreported("demo")) == []  # type: ignore[misc]


@pytest.mark.parametrize(("hold_id", "name", "goes"), [("h0", "n0", True), ("h0", "n2", False), ("h9", "n0", False)])
async def test_it_is_forgotten_where_it_is_proven_that_it_never_was(
    warden: WardenStore, raw: Redis, keys: Keys, lost: str, hold_id: str, name: str, goes: bool
) -> None:
    await warden.forget_unreported("demo", hold_id, frozenset({name, "n3"}))
    left = {unreported_field(READABLE)} | (set() if goes else {lost})
    assert set(await raw.hkeys(keys.unreported("demo"))) == left  # type: ignore[misc]


async def test_the_log_says_it_once(gate: GateStore, raw: Redis, keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    await raw.hset(keys.unreported("demo"), "any", '{"of":"another version"}')  # type: ignore[misc]
    for name in ("h1", "h2"):
        await gate.hold(a_request(name))
    assert caplog.text.count('the lost order {"of":"another version"} cannot be read') == 1
