"""Is this archive the one that was written? Every record is hashed again and every column derived again.

Anchors are read before the archive: the writer commits first and anchors second, so an honest archive is never behind
an anchor read earlier. With the guard's public keys every checkpoint's signature is checked; nothing else is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import select

from proxy.audit.anchor import AnchorDamaged, AnchorUnreadable, read_anchor
from proxy.audit.chain import Head, genesis, link
from proxy.audit.checkpoint import Sealed
from proxy.audit.engine import TROUBLE
from proxy.audit.entry import stored_entry
from proxy.audit.findings import Broken, Wrong, chain_name
from proxy.audit.layout import layout_differences
from proxy.audit.place import ArchivePlace, ArchiveUnavailable
from proxy.audit.query import counts
from proxy.audit.reader import ArchiveReader
from proxy.audit.schema import JUDGEMENTS, RECORDS
from proxy.audit.statements import Statements
from proxy.signatures.signing import TrustedKey

_TOLD_EVERY: Final = 1_000
_LOOKED_THROUGH_MAX: Final = 10_000
"""Records looked through for one that is out of its place."""

_COLUMNS: Final = ("seq", "chain", "place", "hash", "body", "kind", "identity", "id", "at_us", "bot", "account")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEnd:
    """Where one chain ends; the desk's own has an empty name."""

    chain: str
    records: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What verify found. ``wrong`` says in a word what is the matter; ``first_bad`` is the first sequence that is not
    as written and ``chain`` the chain it is in, where they can be named.

    ``unsigned`` counts the records at the end that no signature covers. Only of an archive of before there were seals,
    which is not ``sealed``, are they no finding: nothing in it says where it ends.

    ``head_hash`` stands for all ``chains``. ``signed_by`` is the key of the newest checkpoint, and ``signatures`` says
    whether signatures were checked. ``counts`` are the records of each kind; conflicts and unreadable ones are honest
    content, but worth a look.
    """

    ok: bool
    records: int
    head_hash: str
    first_bad: int | None = None
    wrong: Wrong | None = None
    chain: str | None = None
    problem: str = ""
    chains: tuple[ChainEnd, ...] = ()
    checkpoints: int = 0
    signed_by: str = ""
    signatures: bool = False
    unsigned: int = 0
    sealed: bool = False
    counts: dict[str, int]


def verify(
    place: ArchivePlace,
    *,
    anchors: Sequence[Path] = (),
    keys: Sequence[TrustedKey] = (),
    told: Callable[[int, int], None] = lambda done, of: None,
) -> VerifyReport:
    """Check an archive against itself, its anchor and the copies of ``anchors`` that were kept elsewhere.

    ``told`` hears how many records are done, and of how many. Raises ``ArchiveUnavailable`` only when there is no
    archive; anything else unreadable is a finding.
    """
    if place.url is None and not place.database.is_file():
        raise ArchiveUnavailable(f"there is no archive at {place}")
    try:
        found = _anchors(place, anchors)
        with ArchiveReader.open(place) as archive, archive.standing_still():
            return _verified(archive, found, keys, told)
    except Broken as broken:
        return _not_ok(broken.wrong, str(broken))
    except ArchiveUnavailable as trouble:
        return _not_ok(Wrong.UNREADABLE, str(trouble))
    except (TypeError, ValueError, *TROUBLE) as error:
        # A damaged page can hold any type in any column, and text that Python cannot decode.
        return _not_ok(Wrong.UNREADABLE, f"the database is damaged: {type(error).__name__}")


def _not_ok(wrong: Wrong, problem: str) -> VerifyReport:
    return VerifyReport(ok=False, records=0, head_hash="", wrong=wrong, problem=problem, counts={})


def _anchors(place: ArchivePlace, others: Sequence[Path]) -> dict[str, Sealed]:
    found: dict[str, Sealed] = {}
    for name, path in (("the anchor", place.anchor), *((f"the anchor in {path}", path) for path in others)):
        try:
            anchor = read_anchor(path)
        except AnchorDamaged as damage:
            raise Broken(Wrong.CHANGED, str(damage)) from damage
        except AnchorUnreadable as trouble:
            raise Broken(Wrong.UNREADABLE, str(trouble)) from trouble
        if anchor is None:
            raise Broken(Wrong.GAP, f"{name} is missing, so a cut tail could not be seen")
        found[name] = anchor
    return found


def _verified(
    archive: ArchiveReader,
    anchors: Mapping[str, Sealed],
    keys: Sequence[TrustedKey],
    told: Callable[[int, int], None],
) -> VerifyReport:
    broken: Broken | None = None
    statements: Statements | None = None
    last: int | None = None
    try:
        # The triggers may have been taken away, and a view or another index could show other rows than the chains hold.
        if differences := layout_differences(archive.connection):
            raise Broken(Wrong.CHANGED, f"the tables are not as they were laid out: {', '.join(differences)}")
        statements = Statements(archive, anchors, keys)
        last = _check_records(archive, statements, told)
        statements.ended(last)
        statements.counted()
        _check_pages(archive)
    except Broken as found:
        broken = found
    head = archive.head()
    newest = statements.last if statements is not None else None
    return VerifyReport(
        ok=broken is None,
        records=head.seq,
        head_hash=head.hash.hex(),
        first_bad=broken.seq if broken is not None else None,
        wrong=broken.wrong if broken is not None else None,
        chain=broken.chain if broken is not None else None,
        problem=str(broken) if broken is not None else "",
        chains=tuple(
            ChainEnd(chain=chain, records=end.place, hash=end.hash.hex()) for chain, end in sorted(head.heads.items())
        ),
        checkpoints=statements.kept if statements is not None else 0,
        signed_by=newest.key_id if newest is not None else "",
        signatures=bool(keys),
        unsigned=max(0, last - statements.signed) if statements is not None and last is not None else 0,
        sealed=statements.sealed if statements is not None else False,
        counts=counts(archive),
    )


def _check_records(archive: ArchiveReader, statements: Statements, told: Callable[[int, int], None]) -> int:
    """The last sequence, when every record up to it is as it was written."""
    heads: dict[str, Head] = {}
    judgements = _JudgementRows(archive)
    last, total = 0, archive.head().seq
    statements.passed(0, heads)
    for row in archive.stream(select(*(RECORDS.c[name] for name in _COLUMNS)).order_by(RECORDS.c.seq)):
        seq, chain, place, digest, body, *derived = row
        if seq != last + 1:
            raise Broken(Wrong.GAP, f"record {last + 1} is missing", seq=last + 1)
        prev = heads.get(chain) or genesis(archive.archive_id, chain)
        if not isinstance(body, bytes) or link(prev, seq, body) != (place, digest):
            raise _misplaced(archive, heads, seq, chain, place)
        heads[chain] = Head(place, digest)
        _check_columns(seq, body, (chain, *derived), judgements)
        last = seq
        statements.passed(seq, heads)
        if seq % _TOLD_EVERY == 0:
            told(seq, total)
    if (orphan := judgements.next_seq()) is not None:
        raise Broken(Wrong.CHANGED, f"there are judgement rows of a record {orphan} that does not exist", seq=orphan)
    told(last, total)
    return last


def _check_columns(seq: int, body: bytes, columns: tuple[Any, ...], judgements: _JudgementRows) -> None:
    try:
        entry = stored_entry(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Broken(Wrong.CHANGED, f"record {seq} cannot be read: {error}", seq=seq) from error
    if columns != entry.columns:
        raise Broken(Wrong.CHANGED, f"the columns of record {seq} do not say what the record says", seq=seq)
    if judgements.of(seq) != entry.judgement_rows(seq):
        raise Broken(Wrong.CHANGED, f"the judgement rows of record {seq} do not say what the record says", seq=seq)


def _misplaced(archive: ArchiveReader, heads: Mapping[str, Head], seq: int, chain: str, place: object) -> Broken:
    """Why the record found at ``seq`` is not the one that was written there."""
    later = select(RECORDS.c.seq, RECORDS.c.chain, RECORDS.c.place, RECORDS.c.hash, RECORDS.c.body)
    question = later.where(RECORDS.c.seq > seq).order_by(RECORDS.c.seq).limit(_LOOKED_THROUGH_MAX)
    for other, its_chain, its_place, digest, body in archive.stream(question):
        prev = heads.get(its_chain) or genesis(archive.archive_id, its_chain)
        if isinstance(body, bytes) and link(prev, seq, body) == (its_place, digest):
            return Broken(
                Wrong.REORDER, f"record {seq} is out of its place: it stands at {other}", seq=seq, chain=its_chain
            )
    end = heads[chain].place if chain in heads else 0
    if isinstance(place, int) and place <= end:
        problem = f"record {seq} stands at place {place} of {chain_name(chain)}, where there is one already"
        return Broken(Wrong.FORK, problem, seq=seq, chain=chain)
    if isinstance(place, int) and place > end + 1:
        problem = f"{chain_name(chain)} goes from place {end} to {place} at record {seq}"
        return Broken(Wrong.GAP, problem, seq=seq, chain=chain)
    return Broken(Wrong.CHANGED, f"record {seq} was changed: its hash does not match", seq=seq, chain=chain)


class _JudgementRows:
    """The judgement rows read along with the records, in one pass."""

    def __init__(self, archive: ArchiveReader) -> None:
        order = (JUDGEMENTS.c.seq, JUDGEMENTS.c.item, JUDGEMENTS.c.place)
        self._rows: Iterator[Any] = archive.stream(select(JUDGEMENTS).order_by(*order))
        self._ahead = next(self._rows, None)

    def of(self, seq: int) -> list[tuple[Any, ...]]:
        """The rows up to ``seq``: those of records passed over count too, so that none hides."""
        found = []
        while self._ahead is not None and self._ahead[0] <= seq:
            found.append(tuple(self._ahead))
            self._ahead = next(self._rows, None)
        return found

    def next_seq(self) -> int | None:
        """The sequence of the next row, if there is one."""
        return None if self._ahead is None else int(self._ahead[0])


def _check_pages(archive: ArchiveReader) -> None:
    # Indexes are not hashed, but a damaged one hides rows from questions. PostgreSQL's are checked by its own amcheck.
    if archive.place.url is not None:
        return
    (finding,) = archive.connection.exec_driver_sql("PRAGMA integrity_check(1)").one()
    if finding != "ok":
        raise Broken(Wrong.CHANGED, f"the database file is damaged: {finding}")
