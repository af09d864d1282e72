"""Which records of an archive are meant: of some time, of an account, of some kinds. Without a filter, all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from proxy.audit.entry import column, micros
from proxy.audit.reader import ArchiveReader
from proxy.audit.schema import RECORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """``until`` is not included; an empty ``account`` means what belongs to none; no ``kinds``: every one."""

    since: datetime | None = None
    until: datetime | None = None
    account: str | None = None
    kinds: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return self == Selection()

    def records(self, archive: ArchiveReader) -> Select[Any]:
        """seq, chain, place, hash and body, in the order of the archive."""
        columns = (RECORDS.c.seq, RECORDS.c.chain, RECORDS.c.place, RECORDS.c.hash, RECORDS.c.body)
        conditions = [*self._conditions(), *self._between(archive)]
        return select(*columns).where(*conditions).order_by(RECORDS.c.seq)

    def count(self, archive: ArchiveReader) -> int:
        """How many there are."""
        ((found,),) = archive.rows(select(func.count()).select_from(RECORDS).where(*self._conditions()))
        return int(found)

    def _between(self, archive: ArchiveReader) -> list[ColumnElement[bool]]:
        """The sequences a time lies between, off an index: read in their order, without the rest of the archive."""
        if not (moments := self._moments()):
            return []
        ((first, last),) = archive.rows(select(func.min(RECORDS.c.seq), func.max(RECORDS.c.seq)).where(*moments))
        return [RECORDS.c.seq >= (first or 0), RECORDS.c.seq <= (last or 0)]

    def _conditions(self) -> list[ColumnElement[bool]]:
        conditions = self._moments()
        if self.account is not None:
            conditions.append(RECORDS.c.chain == column(self.account))
        if self.kinds:
            conditions.append(RECORDS.c.kind.in_(self.kinds))
        return conditions

    def _moments(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if self.since is not None:
            conditions.append(RECORDS.c.at_us >= micros(self.since))
        if self.until is not None:
            conditions.append(RECORDS.c.at_us < micros(self.until))
        return conditions
