"""What the control door may ask of the record of refusals: find them, take one decision again, try another size."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from proxy.audit.query import JudgedCommand
from proxy.reasons.inquiry import Told, WhatIf


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which refusals. ``until`` is not included; ``text`` is looked for in client ids and messages; ``before`` is the
    ``next`` of the page before."""

    bot: str | None = None
    account: str | None = None
    rule: str | None = None
    code: str | None = None
    symbol: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """One page of refusals, newest first. ``next`` goes on where it ends, ``None`` at the end."""

    rows: Sequence[JudgedCommand]
    next: str | None


class ReasonsPlane(Protocol):
    """The record, as the control door sees it. Every method reads the archive and nothing else.

    All raise ``Refused`` for an archive that cannot be read. Before there is one, nothing was refused.
    """

    async def refusals(self, wanted: Wanted, *, limit: int) -> Refusals:
        """The refusals that match. Raises ``Refused`` for a ``before`` that no page gave."""
        ...

    async def counts(self, *, since: datetime | None, until: datetime | None) -> Mapping[str, int]:
        """How many commands were refused with each code in that time, most first; of every bot and account."""
        ...

    def table(self, wanted: Wanted) -> AsyncIterator[bytes]:
        """The refusals that match as CSV, piece by piece; the first piece begins with the columns' names.

        Raises ``Refused`` at any piece: what was given by then is no whole table.
        """
        ...

    async def rules(self, decision_id: str) -> Told | None:
        """A decision taken again, with every rule's part; ``None`` when there is none of that id.

        Raises ``Refused`` when the record does not suffice.
        """
        ...

    async def what_if(self, decision_id: str, *, item: str, quantity: str, price: str) -> WhatIf | None:
        """A recorded command at another size. ``None`` as above. Raises ``Refused``, and what
        ``suppose`` does."""
        ...
