"""Money moved in and out of an account, each movement counted once, whichever way it was told. Pure.

The stream tells a transfer as it happens; the venue's income list also has those that the stream did not tell while
it was down. A movement that nobody counted would look like a loss, or a gain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from proxy.exchange.events import AccountEvent, BalanceChange
from proxy.exchange.payloads import TransferRow

REASONS: Final = frozenset(
    {
        "DEPOSIT",
        "WITHDRAW",
        "WITHDRAW_REJECT",
        "ADMIN_DEPOSIT",
        "ADMIN_WITHDRAW",
        "ASSET_TRANSFER",
        "COIN_SWAP_DEPOSIT",
        "COIN_SWAP_WITHDRAW",
    }
)
"""ACCOUNT_UPDATE's reasons for money that nobody earned or lost (Binance, "Balance and Position Update", 2026-11)."""

KINDS: Final = frozenset(
    {
        "TRANSFER",
        "INTERNAL_TRANSFER",
        "CROSS_COLLATERAL_TRANSFER",
        "STRATEGY_UMFUTURES_TRANSFER",
        "COIN_SWAP_DEPOSIT",
        "COIN_SWAP_WITHDRAW",
        "WELCOME_BONUS",
        "CONTEST_REWARD",
        "REFERRAL_KICKBACK",
        "BFUSD_REWARD",
    }
)
"""The income types that are no result of trading: money moved, swapped for another asset, or given (Binance, "Get
Income History", seen 2026-11). Rebates and returned fees are a part of the result, as the fees were. AUTO_EXCHANGE, by
which an account of several assets pays off a debt, changes nothing in what it is worth."""

NEAR_MS: Final = 5 * 60 * 1000
"""How far an event and its row may lie apart."""

OVERLAP_MS: Final = 10 * 60 * 1000
"""A row may appear this much later than it is of; one that comes later still counts as a gain or a loss."""

COUNTED_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A movement. ``told`` says that the stream told it, ``row_id`` that it was in the list (empty: not yet)."""

    at_ms: int
    asset: str
    amount: Decimal
    told: bool = False
    row_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfers:
    """What was counted. Rows before ``since_ms`` are no news: what they moved is in the balance counting began at."""

    since_ms: int
    counted: tuple[Moved, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What was read of the venue's list: all up to its time ``until_ms``, which is now when it is ``complete``."""

    rows: tuple[TransferRow, ...]
    until_ms: int
    complete: bool = True


def heard(transfers: Transfers, event: AccountEvent) -> tuple[Transfers, tuple[Moved, ...]]:
    """The stream told an event: what is counted with it, and which of it is new."""
    fresh: list[Moved] = []
    if event.reason in REASONS:
        for change in event.balances:
            transfers, news = _heard(transfers, event.at_ms, change)
            fresh += news
    return transfers, tuple(fresh)


def listed(transfers: Transfers, listing: Listing) -> tuple[Transfers, tuple[Moved, ...]]:
    """The venue's list was read: what is counted with it, and which of it is new."""
    fresh: list[Moved] = []
    for row in sorted(listing.rows, key=lambda row: (row.at_ms, row.row_id)):
        if row.kind not in KINDS or row.at_ms < transfers.since_ms:
            continue
        if any(each.row_id == row.row_id for each in transfers.counted):
            continue
        moved = Moved(at_ms=row.at_ms, asset=row.asset, amount=row.amount, row_id=row.row_id)
        match = next((each for each in transfers.counted if not each.row_id and _same(each, moved)), None)
        if match is None:
            fresh.append(moved)
            transfers = replace(transfers, counted=(*transfers.counted, moved))
        else:
            transfers = _replaced(transfers, match, replace(match, row_id=row.row_id))
    return _moved_on(transfers, listing.until_ms), tuple(fresh)


def _heard(transfers: Transfers, at_ms: int, change: BalanceChange) -> tuple[Transfers, tuple[Moved, ...]]:
    moved = Moved(at_ms=at_ms, asset=change.asset, amount=change.change, told=True)
    if not change.change or at_ms < transfers.since_ms:
        return transfers, ()
    for each in transfers.counted:
        if each.told and (each.at_ms, each.asset, each.amount) == (at_ms, change.asset, change.change):
            return transfers, ()
        if not each.told and _same(each, moved):
            return _replaced(transfers, each, replace(each, told=True)), ()
    return _moved_on(replace(transfers, counted=(*transfers.counted, moved))), (moved,)


def _same(one: Moved, other: Moved) -> bool:
    return (one.asset, one.amount) == (other.asset, other.amount) and abs(one.at_ms - other.at_ms) <= NEAR_MS


def _replaced(transfers: Transfers, old: Moved, new: Moved) -> Transfers:
    return replace(transfers, counted=tuple(new if each is old else each for each in transfers.counted))


def _moved_on(transfers: Transfers, until_ms: int = 0) -> Transfers:
    """Forget what is older than the overlap, or too much; what is forgotten is before ``since_ms``.

    What the stream told a little before it stays, for a row of a little after it.
    """
    counted = sorted(transfers.counted, key=lambda each: each.at_ms)
    since_ms = max(transfers.since_ms, until_ms - OVERLAP_MS)
    if len(counted) > COUNTED_MAX:
        since_ms = max(since_ms, counted[-COUNTED_MAX - 1].at_ms + 1)
    kept = tuple(each for each in counted if each.at_ms >= since_ms - NEAR_MS)
    return Transfers(since_ms=since_ms, counted=kept[-COUNTED_MAX:])
