"""Checkpoints, anchors and the seal held against the chains, as a verification comes past the records they speak of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select

from proxy.audit.chain import Head
from proxy.audit.checkpoint import SEALED_LAYOUT, CheckpointDamaged, Sealed, UnknownKey, unseal
from proxy.audit.findings import Broken, Wrong, chain_name
from proxy.audit.reader import ArchiveReader
from proxy.audit.schema import CHECKPOINTS
from proxy.signatures.signing import TrustedKey

SEAL: Final = "the seal"


class Statements:
    """Everything that says how the chains once ended: the archive's checkpoints, read along, anchors and the seal."""

    def __init__(self, archive: ArchiveReader, anchors: Mapping[str, Sealed], keys: Sequence[TrustedKey]) -> None:
        """``anchors`` by what they are called; with ``keys`` every signature is checked. Raises ``Broken``."""
        try:
            self._seal = archive.seal()
        except CheckpointDamaged as damage:
            raise Broken(Wrong.CHANGED, f"{SEAL} was changed: {damage}") from damage
        if self._seal is not None:
            anchors = {**anchors, SEAL: self._seal}
        self._known = dict(anchors)
        self._archive_id = archive.archive_id
        self._keys = keys
        self._layout = 1
        self.signed = 0
        self._anchors = sorted(anchors.items(), key=lambda each: each[1].checkpoint.seq)
        self._rows: Iterator[Any] = archive.stream(select(CHECKPOINTS).order_by(CHECKPOINTS.c.number))
        self._kept = 0
        self._digests: dict[int, str] = {0: ""}
        self._wanted = {anchor.checkpoint.kept for anchor in anchors.values()}
        self._ahead = self._next()
        self.last: Sealed | None = None

    def passed(self, seq: int, heads: Mapping[str, Head]) -> None:
        """The chains end in ``heads`` after record ``seq``. Raises ``Broken`` for whatever says otherwise."""
        while self._ahead is not None and self._ahead.checkpoint.seq <= seq:
            self._compare(f"checkpoint {self._kept}", self._ahead, seq, heads)
            self.last = self._ahead
            self.signed = seq
            self._ahead = self._next()
        while self._anchors and self._anchors[0][1].checkpoint.seq <= seq:
            name, anchor = self._anchors.pop(0)
            self._check(name, anchor)
            self._compare(name, anchor, seq, heads)
            self.signed = seq

    def ended(self, seq: int) -> None:
        """The archive ends at ``seq``. Raises ``Broken`` when it once went on, or had other checkpoints."""
        if self._ahead is not None:
            raise Broken(
                Wrong.TRUNCATION,
                f"checkpoint {self._kept} saw record {self._ahead.checkpoint.seq}, the archive ends at {seq}",
                seq=seq + 1,
            )
        for name, anchor in self._anchors:
            self._check(name, anchor)
            older = anchor.checkpoint.kept > self._kept
            raise Broken(
                Wrong.ROLLBACK if older else Wrong.TRUNCATION,
                f"{name} saw record {anchor.checkpoint.seq}, the archive ends at {seq}:"
                f" {'an older copy' if older else 'cut short, or an older copy'}",
                seq=seq + 1,
            )
        if self._seal is None and self._layout >= SEALED_LAYOUT:
            raise Broken(Wrong.GAP, f"{SEAL} is missing, so records added at the end could not be seen")
        if self._seal is not None and self.signed < seq:
            raise Broken(
                Wrong.UNSIGNED, f"no signature covers the records {self.signed + 1} to {seq}", seq=self.signed + 1
            )
        if self._seal is not None and self._seal.checkpoint.seq < seq:
            raise Broken(Wrong.CHANGED, f"{SEAL} is an older one: it covers the archive to {self._seal.checkpoint.seq}")

    def counted(self) -> None:
        """The anchors' word on the checkpoints before them. ``ended`` comes first. Raises ``Broken``."""
        for name, anchor in self._known.items():
            kept = anchor.checkpoint.kept
            if kept > self._kept:
                raise Broken(Wrong.ROLLBACK, f"{name} knows {kept} checkpoints, the archive holds {self._kept}")
            if self._digests[kept] != anchor.checkpoint.last:
                raise Broken(Wrong.FORK, f"checkpoint {kept} is not the one that {name} knows")
        if self._seal is not None and self._seal.checkpoint.kept < self._kept:
            raise Broken(Wrong.CHANGED, f"{SEAL} is an older one: it does not know checkpoint {self._kept}")

    @property
    def sealed(self) -> bool:
        """Whether the archive keeps a seal: one of before there were any has none."""
        return self._seal is not None

    @property
    def kept(self) -> int:
        """Checkpoints the archive holds, as far as they were read."""
        return self._kept

    def _next(self) -> Sealed | None:
        """The next checkpoint of the archive, checked against the one before it and the keys."""
        row = next(self._rows, None)
        if row is None:
            return None
        number, seq, content = row
        if number != self._kept + 1:
            raise Broken(Wrong.GAP, f"checkpoint {self._kept + 1} is missing", seq=seq)
        name = f"checkpoint {number}"
        try:
            sealed = unseal(content if isinstance(content, bytes) else b"")
        except CheckpointDamaged as damage:
            raise Broken(Wrong.CHANGED, f"{name} was changed: {damage}", seq=seq) from damage
        checkpoint = sealed.checkpoint
        if (checkpoint.seq, checkpoint.kept, checkpoint.last) != (seq, self._kept, self._last_digest):
            raise Broken(Wrong.CHANGED, f"{name} does not follow the one before it", seq=seq)
        self._check(name, sealed)
        self._kept = number
        self._last_digest = sealed.digest
        if number in self._wanted:
            self._digests[number] = sealed.digest
        return sealed

    _last_digest = ""

    def _check(self, name: str, sealed: Sealed) -> None:
        if sealed.checkpoint.archive != self._archive_id:
            raise Broken(Wrong.FORK, f"{name} belongs to another archive")
        self._layout = max(self._layout, sealed.checkpoint.layout)
        if self._keys:
            try:
                sealed.check_signature(self._keys)
            except UnknownKey as unknown:
                raise Broken(Wrong.UNKNOWN_KEY, f"{name} is {unknown}", seq=sealed.checkpoint.seq) from unknown
            except CheckpointDamaged as damage:
                raise Broken(Wrong.CHANGED, f"{name}: {damage}", seq=sealed.checkpoint.seq) from damage

    def _compare(self, name: str, sealed: Sealed, seq: int, heads: Mapping[str, Head]) -> None:
        if sealed.checkpoint.seq != seq:  # Only one of record 0 is behind the first.
            raise Broken(Wrong.CHANGED, f"{name} speaks of record {sealed.checkpoint.seq}", seq=seq)
        said = sealed.heads
        for chain in sorted(said.keys() | heads.keys()):
            if said.get(chain) != heads.get(chain):
                raise Broken(
                    Wrong.FORK, f"{chain_name(chain)} ended otherwise in {name}, at record {seq}", seq=seq, chain=chain
                )
