"""Questions of the control door to the archive. Where it cannot be read that is said, and never shown as empty."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, TypeVar

import msgspec

from proxy.audit.place import ArchivePlace, ArchiveUnavailable
from proxy.audit.query import BadCursor
from proxy.audit.reader import ArchiveReader
from proxy.looks import Looks
from proxy.refused import Refused

T = TypeVar("T")

UNREADABLE: Final = (ArchiveUnavailable, msgspec.MsgspecError, UnicodeError)
"""What reading an archive raises that is not there, not answering or damaged."""

CANNOT_BE_READ: Final = "the archive cannot be read; ask `perpguard audit verify`"

_THREADS: Final = 2
"""So that one long search does not keep the next person from a decision's page."""


class ArchiveLooks:
    """Asks one archive, each question in a thread."""

    def __init__(self, name: str) -> None:
        self._looks = Looks(name, _THREADS)

    async def ask(self, place: ArchivePlace, name: Hashable, question: Callable[[ArchiveReader], T], otherwise: T) -> T:
        """The answer, or ``otherwise`` before anything was ever archived. ``name`` says what the question is.

        Raises ``Refused`` for an archive that cannot be read, and for a page that no page gave.
        """
        return await self._looks.ask((place, name), lambda: _read(place, question, otherwise))


def _read(place: ArchivePlace, question: Callable[[ArchiveReader], T], otherwise: T) -> T:
    if place.url is None and not place.database.is_file():
        return otherwise
    try:
        with ArchiveReader.open(place) as archive:
            return question(archive)
    except BadCursor as trouble:
        raise Refused("there is no such page; begin with the first") from trouble
    except UNREADABLE as trouble:
        raise Refused(CANNOT_BE_READ) from trouble
