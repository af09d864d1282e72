"""What somebody can do to an archive who may write its files and database, knows the code, and has no key of the guard.

Every hash is right afterwards: SHA-256 needs no key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, text

from proxy.audit.chain import Head, genesis, link
from proxy.audit.checkpoint import SEALED_LAYOUT, Checkpoint, Sealed, heads_in_hex, seal, unseal
from proxy.audit.entry import stored_entry
from proxy.store.codec import dump, load
from proxy.vault.signing_keys import SigningKey, new_signing_key
from tests.proxy.audit.conftest import KEY, START

Sign = Callable[[Checkpoint], Sealed]


def made_up(checkpoint: Checkpoint) -> Sealed:
    """In the guard's name, with a signature of nothing."""
    theirs = seal(checkpoint, new_signing_key(START))
    content = theirs.content.replace(theirs.signature.hex().encode(), b"00" * 64)
    return unseal(content.replace(theirs.key_id.encode(), KEY.key_id.encode()))


def with_a_key_of_their_own(checkpoint: Checkpoint) -> Sealed:
    """Properly signed, by somebody else."""
    return seal(checkpoint, _THEIRS)


_THEIRS: SigningKey = new_signing_key(START)


def add_records(connection: Connection, *records: Mapping[str, Any]) -> None:
    """Records at the end, as the guard would have added them."""
    for record in records:
        seq = int(_one(connection, "SELECT coalesce(max(seq), 0) FROM records")) + 1
        _insert(connection, seq, dump(record), _head(connection, stored_entry(dump(record)).chain))


def rewrite(connection: Connection, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> dict[str, Head]:
    """The whole history anew, each record as ``change`` makes it, or not at all; no checkpoint is left. The heads."""
    rows = [bytes(body) for (body,) in connection.execute(text("SELECT body FROM records ORDER BY seq"))]
    archive_id = _one(connection, "SELECT id FROM archive")
    for table in ("judgements", "records", "checkpoints"):
        connection.execute(text(f"DELETE FROM {table}"))
    heads: dict[str, Head] = {}
    seq = 0
    for body in rows:
        record = change(load(body))
        if record is None:
            continue
        seq += 1
        chain = stored_entry(dump(record)).chain
        heads[chain] = _insert(connection, seq, dump(record), heads.get(chain) or genesis(archive_id, chain))
    return heads


def statement_of(connection: Connection, heads: Mapping[str, Head]) -> Checkpoint:
    """What the guard would sign of an archive with these heads and no checkpoint."""
    return Checkpoint(
        archive=_one(connection, "SELECT id FROM archive"),
        seq=int(_one(connection, "SELECT coalesce(max(seq), 0) FROM records")),
        at="2026-11-24T09:00:00Z",
        heads=heads_in_hex(heads),
        kept=0,
        last="",
        layout=SEALED_LAYOUT,
    )


def put_seal(connection: Connection, sealed: Sealed) -> None:
    """Another seal in its place."""
    connection.execute(text("UPDATE seal SET content = :content"), {"content": sealed.content})


def _head(connection: Connection, chain: str) -> Head:
    last = text("SELECT place, hash FROM records WHERE chain = :chain ORDER BY place DESC LIMIT 1")
    found = connection.execute(last, {"chain": chain}).fetchall()
    return (
        Head(found[0][0], bytes(found[0][1])) if found else genesis(_one(connection, "SELECT id FROM archive"), chain)
    )


def _insert(connection: Connection, seq: int, body: bytes, prev: Head) -> Head:
    entry = stored_entry(body)
    head = link(prev, seq, body)
    chain, *columns = entry.columns
    names = ("seq", "chain", "place", "kind", "identity", "id", "at_us", "bot", "account", "hash", "body")
    _row(connection, "records", names, (seq, chain, head.place, *columns, head.hash, body))
    judged = (
        "seq",
        "item",
        "place",
        "at_us",
        "bot",
        "account",
        "symbol",
        "verdict",
        "rule",
        "code",
        "headroom",
        "words",
    )
    for row in entry.judgement_rows(seq):
        _row(connection, "judgements", judged, row)
    return head


def _row(connection: Connection, table: str, names: tuple[str, ...], values: tuple[object, ...]) -> None:
    places = ", ".join(f":{name}" for name in names)
    statement = text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})")
    connection.execute(statement, dict(zip(names, values, strict=True)))


def _one(connection: Connection, question: str) -> str:
    return str(connection.execute(text(question)).scalar_one())
