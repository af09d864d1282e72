"""What is asked of the store, and what is published to it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from msgspec import structs

from proxy.store.view import Bucket, HoldRequest
from proxy.store.warden_store import Published, WardenStore
from rules.account import Account, HeldOrder
from rules.model import PositionSide, Side
from tests.rules.builders import NOW


def a_held_order(symbol: str = "BTCUSDT", quantity: str = "1") -> HeldOrder:
    return HeldOrder(
        symbol=symbol,
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        quantity=Decimal(quantity),
        price=Decimal("50000.10"),
        client_order_id="bot|1",
    )


def a_request(hold_id: str = "h1", **changes: Any) -> HoldRequest:
    """An entry that reserves one order, is in no bucket and can be told from its replay."""
    request = HoldRequest(
        hold_id=hold_id,
        account="demo",
        venue="binanceusdm",
        bot="demo-bot",
        guard_key="pgk_1",
        orders=(a_held_order(),),
        reserve=True,
        buckets=(),
        write_ahead={"kind": "intent", "id": hold_id},
        replay_digest=f"digest of {hold_id}",
        replay_window_ms=5000,
    )
    return structs.replace(request, **changes)


def a_bucket(
    per_second: str = "0.001", burst: str = "3", tighten: str = "0.9", scope: str = "rate@desk", **counts: int
) -> Bucket:
    """By default one message is spent, and nothing flows within a test's time."""
    return Bucket(scope, Decimal(per_second), Decimal(burst), Decimal(tighten), **({"spend": 1} | counts))


def an_account_of(version: int, *, name: str = "demo", **changes: Any) -> Account:
    account = Account(
        name=name,
        version=version,
        as_of=NOW,
        margin_balance=Decimal("1000.50"),
        available_balance=Decimal("1000.50"),
        hedged=False,
    )
    return replace(account, **changes)


async def publish(
    warden: WardenStore,
    version: int,
    *,
    began_us: int | None = None,
    began_s: float | None = None,
    symbols: frozenset[str] | None = None,
    resolved: tuple[str, ...] = (),
) -> Published:
    """Publish a survey that, unless said otherwise, began just now and saw everything."""
    return await warden.publish_account(
        an_account_of(version),
        began_us=await warden.now_us() if began_us is None else began_us,
        began_s=began_s,
        symbols=symbols,
        resolved=resolved,
        desk="desk",
    )
