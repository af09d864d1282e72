"""Implements ``ReasonsPlane`` over the archive of a data directory. Nothing here can change anything."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO, Final, TypeVar, cast

from proxy.audit.place import ArchivePlace, ArchiveUnavailable
from proxy.audit.query import BadCursor, JudgedCommand, blocked, counts_by_code
from proxy.audit.reader import ArchiveReader
from proxy.console.plane import ControlRefused
from proxy.console.reasons_plane import Refusals, Wanted
from proxy.exporting.columns import Column, Kind
from proxy.exporting.writers import write_rows
from proxy.reasons.inquiry import NotToBeTold, Recorded, Told, WhatIf, recorded, suppose, tell
from rules.policy import Policy

T = TypeVar("T")

EXPORTED_MAX: Final = 100_000
"""Rows of one table; who wants more narrows the time, or exports the archive."""

_PAGE: Final = 1_000
_IN_MEMORY_BYTES: Final = 4 * 1024 * 1024

COLUMNS: Final = (
    Column("at", Kind.TIME),
    *map(Column, ("id",)),
    Column("item", Kind.INTEGER),
    *map(Column, ("bot", "account", "symbol", "client_order_id", "command", "rule", "code")),
    *map(Column, ("observed", "limit")),
    Column("headroom", Kind.DECIMAL),
    Column("message"),
)


class ReasonsRecord:
    """The refusals of one archive. ``policy`` is the one in force when it is asked for."""

    def __init__(self, place: ArchivePlace, policy: Callable[[], Policy]) -> None:
        self._place = place
        self._policy = policy

    async def refusals(self, wanted: Wanted, *, limit: int) -> Refusals:
        """The refusals that match, newest first; none where there is no archive yet."""
        return await self._ask(lambda archive: _refusals(archive, wanted, limit), Refusals(rows=(), next=None))

    async def counts(self, *, since: datetime | None, until: datetime | None) -> Mapping[str, int]:
        """How many of each code in that time."""
        return await self._ask(lambda archive: _counts(archive, since, until), {})

    async def table(self, wanted: Wanted) -> BinaryIO:
        """The refusals that match as CSV; what is large lies on the disk and is gone when it is closed."""
        # The caller closes it, after the answer has been sent.
        file = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES))  # noqa: SIM115
        try:
            await self._ask(lambda archive: write_rows(_rows(archive, wanted), COLUMNS, file, "csv"), 0)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    async def rules(self, decision_id: str) -> Told | None:
        """Every rule's part in a decision."""
        return await self._of(decision_id, tell)

    async def what_if(self, decision_id: str, *, item: str, quantity: str, price: str) -> WhatIf | None:
        """A recorded command at another size, under its own policy and the one in force."""
        policy = self._policy()
        return await self._of(
            decision_id, lambda found: suppose(found, policy, item=item, quantity=quantity, price=price)
        )

    async def _of(self, decision_id: str, question: Callable[[Recorded], T]) -> T | None:
        def ask(archive: ArchiveReader) -> T | None:
            found = recorded(archive, decision_id)
            return question(found) if found is not None else None

        try:
            return await self._ask(ask, None)
        except NotToBeTold as trouble:
            raise ControlRefused(f"this decision cannot be taken again: {trouble}") from trouble

    async def _ask(self, question: Callable[[ArchiveReader], T], otherwise: T) -> T:
        return await asyncio.to_thread(_read, self._place, question, otherwise)


def _read(place: ArchivePlace, question: Callable[[ArchiveReader], T], otherwise: T) -> T:
    try:
        with ArchiveReader.open(place) as archive:
            return question(archive)
    except BadCursor as trouble:
        raise ControlRefused("there is no such page; begin with the first") from trouble
    except ArchiveUnavailable:
        return otherwise


def _refusals(archive: ArchiveReader, wanted: Wanted, limit: int) -> Refusals:
    page = blocked(
        archive,
        bot=wanted.bot,
        account=wanted.account,
        rule=wanted.rule,
        code=wanted.code,
        symbol=wanted.symbol,
        since=wanted.since,
        until=wanted.until,
        text=wanted.text,
        before=wanted.before,
        limit=limit,
    )
    return Refusals(rows=page.rows, next=page.next)


def _counts(archive: ArchiveReader, since: datetime | None, until: datetime | None) -> Mapping[str, int]:
    found = counts_by_code(archive, since=since)
    later = counts_by_code(archive, since=until) if until is not None else {}
    between = {code: count - later.get(code, 0) for code, count in found.items()}
    return dict(sorted(((code, count) for code, count in between.items() if count > 0), key=lambda each: -each[1]))


def _rows(archive: ArchiveReader, wanted: Wanted) -> Iterator[dict[str, Any]]:
    count, before = 0, wanted.before
    while count < EXPORTED_MAX:
        page = _refusals(archive, replace(wanted, before=before), min(_PAGE, EXPORTED_MAX - count))
        yield from map(_cells, page.rows)
        count, before = count + len(page.rows), page.next
        if before is None:
            return


def _cells(row: JudgedCommand) -> dict[str, Any]:
    cells = {column.name: getattr(row, column.name) for column in COLUMNS}
    return cells | {"headroom": None if row.headroom is None else Decimal(row.headroom)}
