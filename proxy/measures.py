"""What is measured of a venue's markets, put together from the warden's pieces."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from proxy.accounts.keeper import AccountKeeper
from proxy.accounts.markets import MarketKeeper
from proxy.accounts.venue_account import VenueAccount
from proxy.accounts.venue_clock import VenueClock
from proxy.audit.commands import archive_path
from proxy.audit.query import last_ordered
from proxy.audit.reader import ArchiveReader, ArchiveUnavailable
from proxy.ledger.mark_keeper import MarkKeeper
from proxy.ledger.marks import marks_path
from proxy.signals.attention import SEEN_S
from proxy.signals.conditions import ConditionsKeeper
from proxy.store.warden_store import WardenStore
from rules.snapshot import OpenOrder, Position

log = logging.getLogger("perpguard.warden")


def conditions_keeper(
    hands: VenueAccount,
    market: MarketKeeper,
    clock: VenueClock,
    *,
    store: WardenStore,
    keepers: Mapping[str, AccountKeeper],
    now: Callable[[], datetime],
) -> ConditionsKeeper:
    """The keeper of one venue's conditions, which reads through ``hands``."""
    return ConditionsKeeper(
        venue=hands.venue,
        reads=hands.public,
        prices=market,
        store=store,
        held=lambda: _held(keeper for keeper in keepers.values() if keeper.venue == hands.venue),
        clock_offset_ms=lambda: clock.offset_ms,
        now=now,
    )


def mark_keeper(
    hands: VenueAccount,
    market: MarketKeeper,
    conditions: ConditionsKeeper,
    *,
    data_dir: Path,
    now: Callable[[], datetime],
) -> MarkKeeper:
    """The keeper of the marks of the symbols that ``conditions`` is told of."""
    return MarkKeeper(
        venue=hands.venue,
        path=marks_path(data_dir),
        reads=hands.public,
        symbols=lambda: conditions.symbols,
        markets=lambda: market.markets,
        now=now,
    )


async def remember_symbols(
    data_dir: Path,
    keepers: Mapping[str, AccountKeeper],
    conditions: Mapping[str, ConditionsKeeper],
    now: datetime,
) -> None:
    """What was ordered in the day before this process began is measured from its first minute on."""

    def ask() -> dict[tuple[str, str], datetime]:
        with ArchiveReader.open(archive_path(data_dir)) as archive:
            return last_ordered(archive, now - timedelta(seconds=SEEN_S))

    try:
        ordered = await asyncio.to_thread(ask)
    except ArchiveUnavailable as trouble:
        log.warning("the symbols of the last day cannot be looked up: %s", trouble)
        return
    for (account, symbol), at in ordered.items():
        if (keeper := keepers.get(account)) is not None:
            conditions[keeper.venue].attention.saw(symbol, at.timestamp())


def _held(keepers: Iterable[AccountKeeper]) -> set[str]:
    """The symbols with a position or an open order."""
    accounts = [keeper.account for keeper in keepers]
    held: list[Position | OpenOrder] = []
    for account in accounts:
        if account is not None:
            held += (*account.positions, *account.open_orders)
    return {each.symbol for each in held}
