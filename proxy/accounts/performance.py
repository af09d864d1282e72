"""What an account and its bots have made, and what they hold: folded from the account's documents. Pure.

The account's result is its margin balance less all transfers; a bot's is what its shares say. Both begin at zero with
the first document. A document that is stale, or told twice, changes nothing; documents of the same survey are one
reading, so none confirms itself. A transfer that becomes known late is counted as if it had been known at its moment.
Funding is in the balance at once and in the shares when its row has been read, seconds later: until then the account's
result has it as profit or loss, and from then on as funding. What is not in the balance is not funding of the account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from proxy.accounts.recount import Recount, counted, put, read
from proxy.accounts.shares import NOBODY
from proxy.accounts.track import Total, Track, begun, moved, realised, told
from rules.account import Account, Share
from rules.facts import Holding
from rules.instrument import moves_balance
from rules.model import PositionSide
from rules.snapshot import Market

FEE_RATE_WORST: Final = Decimal("0.0005")
"""Charged on what a bot traded at a fee that is not known: Binance USD-M's taker fee without any discount (0.0500 %,
"Futures fee rate", seen 2026-11). The account's own result has the fee in its balance."""

_ZERO: Final = Decimal(0)

_Key = tuple[str, str, PositionSide]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A bot's experience with a symbol. ``awaits`` is the funding time it holds a position towards."""

    symbol: str
    since: datetime | None = None
    awaits: datetime | None = None
    stamps: int = 0
    carry: Decimal = _ZERO

    @property
    def holding(self) -> Holding:
        """As rules know it."""
        return Holding(symbol=self.symbol, held_since=self.since, funding_stamps=self.stamps, carry=self.carry)


@dataclass(frozen=True, slots=True, kw_only=True)
class BotPast:
    """One bot. ``base`` is what its shares said where its track begins, ``fees`` what was charged for unknown ones.

    What the account had when the track ``began`` is in its capital.
    """

    bot: str
    track: Track
    began: datetime
    base: Total
    fees: Decimal = _ZERO
    held: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is kept of one account between documents. ``shares``, ``shares_since``, ``version``, ``as_of`` and
    ``multi_assets`` are the last document's. ``recount`` has the track's last readings, so that it can be counted
    again."""

    track: Track | None = None
    recount: Recount | None = None
    shares: tuple[Share, ...] = ()
    shares_since: datetime | None = None
    bots: tuple[BotPast, ...] = ()
    version: int = -1
    as_of: datetime | None = None
    multi_assets: bool | None = None

    def bot(self, name: str) -> BotPast | None:
        """One bot's past, ``None`` when it never had a share."""
        return next((each for each in self.bots if each.bot == name), None)


def transferred(past: Past, amount: Decimal, at: datetime | None) -> Past:
    """Money came in (negative: went out) at ``at``, or just now (``None``), of everybody's capital.

    What moved before the first document is in that already.
    """
    if past.track is None or past.recount is None or not amount:
        return past
    placed = put(past.recount, amount, at)
    if placed is None:
        return past
    track = counted(placed.recount, past.track) if placed.shown else moved(past.track, amount)
    believed_at = placed.believed_at
    bots = tuple(
        each if believed_at is not None and each.began > believed_at else replace(each, track=moved(each.track, amount))
        for each in past.bots
    )
    return replace(past, track=track, recount=placed.recount, bots=bots)


def folded(past: Past, account: Account, markets: Mapping[str, Market], reading: int) -> Past:
    """The past with one more document in it, which rests on the survey named ``reading``. ``markets`` are the prices of
    that moment."""
    if account.feed_stale or (account.version, account.as_of) == (past.version, past.as_of):
        return past
    shares = tuple(sorted(account.shares, key=_key))
    marks = _marks(account, shares, markets)
    before = {_key(share): share for share in past.shares}
    restarted = _restarted(past, account)
    if past.track is None or restarted:
        before = {_key(share): share for share in shares}  # What they say now is where counting begins.
    track, recount = past.track, past.recount
    if track is None or recount is None:
        track, funding = begun(account.margin_balance, account.as_of), _ZERO
        recount = Recount(earlier=track, began=account.as_of)
    else:
        # Row by row, not by what the shares say in all: which contracts count is another thing in another asset mode.
        funding = (track.latest or track.total).funding + _received(shares, before, account.multi_assets)
    total = Total(result=account.margin_balance - track.capital, funding=funding)
    track = realised(told(track, total, account.as_of, reading), _realised(shares, before), account.as_of)
    bots = tuple(
        _bot(
            past,
            bot,
            [share for share in shares if share.bot == bot],
            before,
            marks,
            account,
            markets,
            restarted,
            reading,
        )
        for bot in sorted({share.bot for share in shares} - {NOBODY} | {each.bot for each in past.bots})
    )
    return replace(
        past,
        track=track,
        recount=read(recount, account.margin_balance, total.funding, track.at, reading),
        shares=shares,
        shares_since=account.shares_since,
        bots=bots,
        version=account.version,
        as_of=account.as_of,
        multi_assets=account.multi_assets,
    )


def _restarted(past: Past, account: Account) -> bool:
    """Whether the shares were lost and are counted anew. Without a time by which to tell, as an earlier version wrote
    them, it shows where one is gone: until then a bot may have traded again."""
    if None not in (past.shares_since, account.shares_since):
        return past.shares_since != account.shares_since
    return not {_key(share) for share in past.shares} <= {_key(share) for share in account.shares}


def _bot(
    past: Past,
    bot: str,
    shares: list[Share],
    before: Mapping[_Key, Share],
    marks: Mapping[str, Decimal],
    account: Account,
    markets: Mapping[str, Market],
    restarted: bool,
    reading: int,
) -> BotPast:
    now = _said(shares, marks)
    known = past.bot(bot)
    if known is None:
        # What it did before the record began is not of the record; a bot that came later began with nothing.
        base = now if past.track is None else Total()
        capital = account.margin_balance if past.track is None else past.track.equity
        known = BotPast(bot=bot, track=begun(capital, account.as_of), began=account.as_of, base=base)
    if restarted:
        # The shares were lost and are counted anew: what was made stays made, and goes on from here.
        made = known.track.total
        base = Total(result=now.result - known.fees - made.result, funding=now.funding - made.funding)
        known = replace(known, base=base)
    fees = known.fees + sum((_unknown_fee(share, before.get(_key(share))) for share in shares), _ZERO)
    total = Total(result=now.result - known.base.result - fees, funding=now.funding - known.base.funding)
    track = realised(told(known.track, total, account.as_of, reading), _realised(shares, before), account.as_of)
    began = min(known.began, track.at)  # Later only if the clock was set back.
    return replace(
        known, track=track, began=began, fees=fees, held=_all_held(known.held, shares, before, account, markets)
    )


def _said(shares: Iterable[Share], marks: Mapping[str, Decimal]) -> Total:
    """What shares have made by now, at the mark, after fees and with funding."""
    result = funding = _ZERO
    for share in shares:
        unrealised = share.quantity * (marks.get(share.symbol, share.entry_price) - share.entry_price)
        result += share.realised_pnl - share.fees + share.funding + unrealised
        funding += share.funding
    return Total(result=result, funding=funding)


def _unknown_fee(share: Share, before: Share | None) -> Decimal:
    """The worst that what this share traded at an unknown fee can have cost."""
    traded = share.unpriced - (before.unpriced if before is not None else _ZERO)
    return max(traded, _ZERO) * FEE_RATE_WORST


def _received(shares: Iterable[Share], before: Mapping[_Key, Share], multi_assets: bool | None) -> Decimal:
    """Funding since the last document, as far as it moved the balance."""
    counted = (share for share in shares if moves_balance(share.symbol, multi_assets))
    return sum((share.funding - _funding(before.get(_key(share))) for share in counted), _ZERO)


def _realised(shares: Iterable[Share], before: Mapping[_Key, Share]) -> Decimal:
    """What reductions since the last document have made, after the fees of that time."""
    gain = _ZERO
    for share in shares:
        was = before.get(_key(share))
        pnl, fees = (was.realised_pnl, was.fees) if was is not None else (_ZERO, _ZERO)
        if share.realised_pnl != pnl:
            gain += share.realised_pnl - pnl - (share.fees - fees)
    return gain


def _all_held(
    held: tuple[Held, ...],
    shares: list[Share],
    before: Mapping[_Key, Share],
    account: Account,
    markets: Mapping[str, Market],
) -> tuple[Held, ...]:
    known = {each.symbol: each for each in held}
    for symbol in sorted({share.symbol for share in shares}):
        legs = [share for share in shares if share.symbol == symbol]
        received = sum((leg.funding - _funding(before.get(_key(leg))) for leg in legs), _ZERO)
        market = markets.get(symbol)
        known[symbol] = _held(
            known.get(symbol, Held(symbol=symbol)),
            is_held=any(leg.quantity for leg in legs),
            received=received,
            at=account.as_of,
            due=market.next_funding_at if market is not None else None,
        )
    return tuple(known[symbol] for symbol in sorted(known))


def _held(held: Held, *, is_held: bool, received: Decimal, at: datetime, due: datetime | None) -> Held:
    """One document later. A funding time counts when there was a position before and after it."""
    held = replace(held, carry=held.carry + received)
    if not is_held:
        return replace(held, since=None, awaits=None)
    stamps, awaits = held.stamps, held.awaits
    if awaits is not None and awaits <= at:
        stamps, awaits = stamps + 1, None
    if awaits is None and due is not None and due > at:
        awaits = due
    return replace(held, since=min(held.since or at, at), stamps=stamps, awaits=awaits)


def _marks(account: Account, shares: Iterable[Share], markets: Mapping[str, Market]) -> dict[str, Decimal]:
    """One mark a symbol of the shares: the document's own, which its balance goes by; else the market's."""
    marks = {share.symbol: markets[share.symbol].mark_price for share in shares if share.symbol in markets}
    return marks | {each.symbol: each.mark_price for each in account.positions}


def _funding(share: Share | None) -> Decimal:
    return _ZERO if share is None else share.funding


def _key(share: Share) -> _Key:
    return share.bot, share.symbol, share.position_side
