"""The account that orders meet, as a warden would have published it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from bench.decide.__main__ import HERE
from proxy.policy.reading import read_policy
from proxy.store.codec import build_snapshot, load
from proxy.store.warden_store import WardenStore
from rules.snapshot import Snapshot

VENUE: Final = "binanceusdm"
SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
POSITIONS: Final = SYMBOLS[:2]
RESTING: Final = 5


def recorded_picture(now: datetime) -> Snapshot:
    """The account of ``bench.decide`` as if it were surveyed at ``now``, cut down to what is measured here."""
    text = (HERE / "account.json").read_text(encoding="utf-8")
    whole = build_snapshot(load(text.replace("2026-03-02T12:00:00Z", now.isoformat())))
    account, conditions = whole.account, whole.conditions
    assert account is not None and conditions is not None
    orders = [order for order in account.open_orders if order.symbol in POSITIONS]
    return replace(
        whole,
        account=replace(
            account,
            positions=tuple(each for each in account.positions if each.symbol in POSITIONS),
            open_orders=tuple(orders[:RESTING]),
            shares=tuple(each for each in account.shares if each.symbol in POSITIONS),
            settings=tuple(each for each in account.settings if each.symbol in SYMBOLS),
        ),
        instruments={symbol: whole.instruments[symbol] for symbol in SYMBOLS},
        markets={symbol: whole.markets[symbol] for symbol in SYMBOLS},
        conditions=replace(conditions, symbols={symbol: conditions.symbols[symbol] for symbol in SYMBOLS}),
    )


async def publish(url: str, policy: Path, picture: Snapshot) -> None:
    """What the warden would have told."""
    assert picture.account is not None and picture.conditions is not None and picture.record is not None
    warden = WardenStore(url, "desk")
    await warden.begin_epoch()
    await warden.publish_markets(VENUE, "1", picture.markets)
    await warden.publish_instruments(VENUE, "1", picture.instruments)
    await warden.publish_conditions(VENUE, picture.conditions)
    await warden.publish_record(picture.record)
    await warden.publish_scores(picture.scores, {})
    policy_in_force, text = read_policy(policy)
    await warden.publish_policy(policy_in_force.version, text)
    began_us = await warden.now_us()
    await warden.publish_account(picture.account, began_us=began_us, symbols=None, resolved=(), desk="desk")
    await warden.aclose()
