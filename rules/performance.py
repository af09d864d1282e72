"""What an account, or the bot that asks, has made or lost: the warden's record, as far as it is known and fresh."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from rules.facts import Performance
from rules.fresh import fresh_record
from rules.model import ZERO
from rules.snapshot import Snapshot


class Whose(StrEnum):
    """Whose result counts: the whole account's, or that of the asking bot alone."""

    ACCOUNT = "account"
    BOT = "bot"


def performance_of(snapshot: Snapshot, whose: Whose, age_max_s: int) -> Performance | None:
    """The performance to judge by, ``None`` when it is not known or was recorded more than ``age_max_s`` away from now.

    A bot that a known record does not list and that has no share of the account has never traded: nothing was made and
    nothing was lost. One that has a share and is not in the record is not known.
    """
    record = fresh_record(snapshot, age_max_s)
    if record is None:
        return None
    if whose is Whose.ACCOUNT:
        return record.performance
    bot = record.bot(snapshot.bot)
    if bot is not None:
        return bot.performance
    if snapshot.account is None or any(share.bot == snapshot.bot for share in snapshot.account.shares):
        return None
    return None if record.performance is None else _nothing_yet(record.performance.equity)


def _nothing_yet(equity: Decimal) -> Performance:
    return Performance(
        day_pnl=ZERO,
        day_funding=ZERO,
        rolling_pnl=ZERO,
        rolling_funding=ZERO,
        day_peak=ZERO,
        equity=equity,
        equity_peak=equity,
    )
