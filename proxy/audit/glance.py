"""The audit as the console shows it. Implements ``AuditPlane`` over the scribe: archive, anchors, verification."""

from __future__ import annotations

from typing import Any, Final

from proxy.audit.checkpoint import Sealed
from proxy.audit.looks import UNREADABLE
from proxy.audit.place import ArchiveUnavailable
from proxy.audit.plane import (
    AnchorView,
    AuditView,
    ChainView,
    CheckpointView,
    EventView,
    ProgressView,
    VerificationView,
)
from proxy.audit.query import events_back
from proxy.audit.reader import ArchiveHead, ArchiveReader
from proxy.audit.scribe import Scribe
from proxy.audit.verification import Verified
from proxy.looks import Looks
from proxy.store.codec import dump, plain
from proxy.terminal import safe

EVENTS_LOOKED_AT: Final = 20_000
"""Among so many of the newest the last ones of people are looked for: some hundredths of a second."""

EVENTS_SHOWN: Final = 40
_DETAIL_CHARACTERS_MAX: Final = 300
_THE_GUARD: Final = frozenset({"warden", "guard"})
"""Who writes events on nobody's behalf."""


class AuditGlance:
    """Looks at the archive in a thread."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._looks = Looks("chains")

    async def audit(self) -> AuditView:
        """Heads, anchors, the last verification and the newest events of people."""
        trouble = ""
        head: ArchiveHead | None = None
        told: tuple[EventView, ...] = ()
        looked_at = 0
        try:
            head, told, looked_at = await self._looks.ask("newest", self._look)
        except ArchiveUnavailable as unavailable:
            trouble = str(unavailable)
        except UNREADABLE:
            trouble = "A record is damaged: ask `perpguard audit verify`."
        newest = self._scribe.anchor
        running = self._scribe.verification.running
        return AuditView(
            place=str(self._scribe.place),
            records=head.seq if head is not None else 0,
            root=head.hash.hex() if head is not None else "",
            chains=[
                ChainView(chain=chain, records=end.place, hash=end.hash.hex())
                for chain, end in sorted(head.heads.items() if head is not None else ())
            ],
            checkpoint=_checkpoint(newest),
            anchors=[_local(newest), *self._outside()],
            last=_verified(self._scribe.verification.last),
            running=ProgressView(since=plain(running.since), done=running.done, of=running.of) if running else None,
            events=told,
            events_looked_at=looked_at,
            trouble=trouble,
        )

    async def verify(self) -> bool:
        """Begin a verification unless one runs."""
        return self._scribe.verification.start()

    def _look(self) -> tuple[ArchiveHead, tuple[EventView, ...], int]:
        with ArchiveReader.open(self._scribe.place) as archive, archive.standing_still():
            head, told, looked_at = archive.head(), [], 0
            for each in events_back(archive, limit=EVENTS_LOOKED_AT):
                looked_at += 1
                if each["by"] not in _THE_GUARD:
                    told.append(_event(each))
                if len(told) == EVENTS_SHOWN:
                    break
            return head, tuple(told), looked_at

    def _outside(self) -> list[AnchorView]:
        return [
            AnchorView(
                name=state.name,
                seq=state.seq,
                at=plain(state.at) if state.at is not None else None,
                failing=state.failing,
            )
            for state in self._scribe.anchors.states
        ]


def _checkpoint(newest: Sealed | None) -> CheckpointView | None:
    if newest is None:
        return None
    return CheckpointView(seq=newest.checkpoint.seq, at=newest.checkpoint.at, key_id=newest.key_id)


def _local(newest: Sealed | None) -> AnchorView:
    known = newest.checkpoint if newest is not None else None
    return AnchorView(
        name="beside the archive",
        seq=known.seq if known is not None else None,
        at=known.at if known is not None else None,
        failing="" if known is not None else "the archive is not open",
    )


def _verified(last: Verified | None) -> VerificationView | None:
    if last is None:
        return None
    report = last.report
    return VerificationView(
        at=plain(last.at),
        took_s=last.took_s,
        ok=report.ok,
        records=report.records,
        wrong=str(report.wrong or ""),
        problem=report.problem,
        first_bad=report.first_bad,
        signatures=report.signatures,
    )


def _event(record: dict[str, Any]) -> EventView:
    detail = dump(record["detail"]).decode()
    shown = detail if len(detail) <= _DETAIL_CHARACTERS_MAX else detail[:_DETAIL_CHARACTERS_MAX] + "…"
    return EventView(at=record["at"], what=safe(record["what"]), by=safe(record["by"]), detail=shown)
