"""What the audit tells the warden, and to whom of its pieces: the stream of today, and the archive of the last day."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from proxy.audit.place import ArchiveUnavailable, archive_place
from proxy.audit.query import last_ordered
from proxy.audit.reader import ArchiveReader
from proxy.pieces.account import AccountPieces
from proxy.pieces.desk import DeskPieces
from proxy.pieces.venue import VenuePieces
from proxy.signals.attention import SEEN_S
from rules.decision import Verdict

log = logging.getLogger("perpguard.warden")

CLOCK_OFF: Final = -1021
"""Binance's word for a time stamp that it does not take."""


class Hearing:
    """Hears every batch of records on its way to the archive."""

    def __init__(self, desk: DeskPieces) -> None:
        self._desk = desk

    async def hear(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Survey the symbols a request may have moved, stop bots, learn how they behave."""
        await self._desk.stops.see(records)
        await self._desk.overrides.see(records)
        for record in records:
            account = self._desk.accounts.get(str(record.get("account")))
            if account is not None:
                _tell(record, account, self._desk.venues[account.keeper.venue])
        await self._desk.watch.see(records)


def _tell(record: Mapping[str, Any], account: AccountPieces, venue: VenuePieces) -> None:
    account.outside.hear(record)
    account.record.hear(record)
    account.ledger.hear(record)
    request = str(record.get("id"))
    if record.get("kind") == "decision":
        moment = _moment_of(record)
        for symbol in _symbols_of(record):
            account.keeper.expect(request, symbol)
            venue.conditions.attention.saw(symbol, moment)
        if _sets_the_mode(record):
            account.keeper.expect(request, None)
        for symbol in _placed_in(record):
            account.venue_timers.intended(symbol)
    elif record.get("kind") == "outcome":
        venue.conditions.hear_outcome(record)
        account.keeper.happened(request, changed=record.get("result") in ("ACCEPTED", "UNKNOWN"))
        if record.get("venue_code") == CLOCK_OFF:
            venue.clock.soon()


def _symbols_of(record: Mapping[str, Any]) -> list[str]:
    """The symbols a decision record names; none when it is not of the expected shape."""
    commands = record.get("commands")
    if not isinstance(commands, list):
        return []
    named = [command.get("symbol") for command in commands if isinstance(command, dict)]
    return [symbol for symbol in named if isinstance(symbol, str)]


def _sets_the_mode(record: Mapping[str, Any]) -> bool:
    """Whether a decision record is of a request that sets the position mode."""
    commands = record.get("commands")
    if not isinstance(commands, list):
        return False
    return any(isinstance(command, dict) and command.get("type") == "SetPositionMode" for command in commands)


def _placed_in(record: Mapping[str, Any]) -> list[str]:
    """The symbols in which orders were let through that may rest."""
    commands, decisions = record.get("commands"), record.get("decisions")
    if not isinstance(commands, list) or not isinstance(decisions, list):
        return []
    return [
        command["symbol"]
        for command, decision in zip(commands, decisions, strict=False)
        if isinstance(command, dict)
        and isinstance(decision, dict)
        and command.get("type") in ("PlaceOrder", "AmendOrder")
        and isinstance(command.get("symbol"), str)
        and decision.get("verdict") != Verdict.DENY.value
    ]


def _moment_of(record: Mapping[str, Any]) -> float:
    """When it was decided, seconds since 1970: a backlog is of the past. What says nothing, or wrongly, is of now."""
    now = time.time()
    try:
        return min(now, datetime.fromisoformat(record["at"]).timestamp())
    except (KeyError, TypeError, ValueError):
        return now


async def remember_symbols(data_dir: Path, desk: DeskPieces, now: datetime) -> None:
    """What was ordered in the day before this process began is measured from its first minute on."""

    def ask() -> dict[tuple[str, str], datetime]:
        with ArchiveReader.open(archive_place(data_dir)) as archive:
            return last_ordered(archive, now - timedelta(seconds=SEEN_S))

    try:
        ordered = await asyncio.to_thread(ask)
    except ArchiveUnavailable as trouble:  # What is damaged `audit verify` says.
        log.warning("the symbols of the last day cannot be looked up: %s", trouble)
        return
    for (account, symbol), at in ordered.items():
        if account in desk.accounts:
            desk.venue_of(account).conditions.attention.saw(symbol, at.timestamp())
