"""What the audit tells the warden, and to whom of its pieces: the stream of today, and the archive of the last day."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from proxy.audit.place import ArchiveUnavailable, archive_place
from proxy.audit.query import last_ordered
from proxy.audit.reader import ArchiveReader
from proxy.recent import Recent
from proxy.signals.attention import SEEN_S
from proxy.store.audit_stream import DRAIN_BATCH_MAX
from proxy.store.client import STORE_TROUBLE
from proxy.warden.pieces.account import AccountPieces
from proxy.warden.pieces.desk import DeskPieces
from proxy.warden.pieces.venue import VenuePieces
from rules.decision import Verdict

log = logging.getLogger("perpguard.warden")

HEARD_MAX: Final = 4 * DRAIN_BATCH_MAX
"""Records remembered as told. Told again is what could not be heard out: of that no more than one batch was told."""

CLOCK_OFF: Final = -1021
"""Binance's word for a time stamp that it does not take."""

CLOCK_WINDOW_MS: Final = 2_000
"""A request is not on its way for so long: one that stood for it, and was too old or too new, tells of a clock."""


class Hearing:
    """Hears every batch of records on its way to the archive.

    One that could not be heard out is told again. Stops and overrides know what they acted on; to the others each
    record is told once.
    """

    def __init__(self, desk: DeskPieces) -> None:
        self._desk = desk
        self._heard: Recent[tuple[str, str], None] = Recent(HEARD_MAX)

    async def hear(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Survey the symbols a request may have moved, stop bots, learn how they behave.

        Raises what the store client raises where a stop could not be set: then tell it again.
        """
        await self._desk.stops.see(records)
        await self._desk.overrides.see(records)
        new = [record for record in records if self._is_new(record)]
        told: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for record in new:
            name = str(record.get("account"))
            account = self._desk.accounts.get(name)
            if account is not None:
                _tell(record, account, self._desk.venues[account.keeper.venue])
                told[name].append(record)
        for name, records in told.items():
            self._desk.accounts[name].record.hear(records)
        try:
            await self._desk.watch.see(new)
        except STORE_TROUBLE as trouble:
            # They are published with the next. A store that is full must not keep from the archive what fills it.
            log.warning("scores cannot be written to the store: %s", type(trouble).__name__)

    def _is_new(self, record: Mapping[str, Any]) -> bool:
        """Whether it was not told before; what has no id is always taken for new."""
        kind, record_id = record.get("kind"), record.get("id")
        if not isinstance(kind, str) or not isinstance(record_id, str):
            return True
        if (kind, record_id) in self._heard:
            return False
        self._heard.put((kind, record_id), None)
        return True


def _tell(record: Mapping[str, Any], account: AccountPieces, venue: VenuePieces) -> None:
    account.outside.hear(record)
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
        window_ms = record.get("recv_window_ms")
        # What was left of a bot's short window may have been over on the way: that is no word about the clock.
        if record.get("venue_code") == CLOCK_OFF and isinstance(window_ms, int) and window_ms >= CLOCK_WINDOW_MS:
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
