"""Random tamperings of every kind, one at a time: each is found.

``PERPGUARD_PROOF`` (1 to 100) multiplies those of the long form: 100,000 in ``make proof``, and 2,000 on PostgreSQL,
where making the archive whole again takes twenty times as long.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from proxy.audit.chain import Head, genesis, link
from proxy.audit.place import ArchivePlace
from proxy.audit.verify import verify
from tests.proxy.audit.conftest import KEYS, Desk
from tests.proxy.audit.forging import add_records, made_up, put_seal, rewrite, statement_of, with_a_key_of_their_own
from tests.proxy.audit.tampering import Victim, postgresql_victim, sqlite_victim

PROOF = min(100, max(1, int(os.environ.get("PERPGUARD_PROOF", "1"))))
SEED = 20261127

TEXTS = {
    "records": ("chain", "kind", "identity", "id", "bot", "account"),
    "judgements": ("bot", "account", "symbol", "rule", "code", "headroom", "words"),
    "archive": ("id",),
}
NUMBERS = {
    "records": ("seq", "place", "at_us"),
    "judgements": ("seq", "item", "place", "at_us"),
    "checkpoints": ("number", "seq"),
}
BYTES = {"records": ("body", "hash"), "checkpoints": ("content",), "seal": ("content",)}

Tampering = Callable[[Connection, random.Random], None]


@pytest.fixture(scope="session")
def victim(new_place, desk, tmp_path_factory):
    """A day in two chains with three checkpoints."""
    place = new_place()
    for count in (8, 16, 24):
        desk.write(place, desk.day()[:count])
    assert verify(place, keys=KEYS).records == 24
    if place.url is None:
        return sqlite_victim(place, ArchivePlace(directory=tmp_path_factory.mktemp("tampered") / "audit"))
    return postgresql_victim(place)


def test_random_tamperings_are_all_found(victim, kind_of_database):
    tampered(victim, {"sqlite": 200, "postgresql": 20}[kind_of_database], SEED)


@pytest.mark.full
def test_random_tamperings_are_all_found_proof(victim, kind_of_database):
    times = {"sqlite": 1_000, "postgresql": 20}[kind_of_database] * PROOF
    found = tampered(victim, times, SEED + 1)
    print(f"{times} tamperings on {kind_of_database}, seed {SEED + 1}: {dict(found)}")
    assert found.total() == times


def tampered(victim: Victim, times: int, seed: int) -> Counter[str]:
    """How often each kind of tampering was tried. Asserts that every one was found."""
    dice = random.Random(seed)
    tried: Counter[str] = Counter()
    while tried.total() < times:
        kind = dice.choice(sorted([*IN_THE_DATABASE, *OF_THE_ANCHOR]))
        victim.restore()
        try:
            if kind in OF_THE_ANCHOR:
                OF_THE_ANCHOR[kind](victim, dice)
            else:
                victim.tamper_by(lambda connection, kind=kind: IN_THE_DATABASE[kind](connection, dice))
        except IntegrityError:
            continue  # Not even without triggers: a key of the tables was in the way.
        report = verify(victim.place, keys=KEYS)
        assert not report.ok, f"{kind}, number {tried.total()} of seed {seed}"
        assert report.wrong is not None and report.problem
        tried[f"{kind}: {report.wrong}"] += 1
    return tried


def a_byte(connection: Connection, dice: random.Random) -> None:
    """One bit of one byte of what is hashed or signed."""
    table = dice.choice(sorted(BYTES))
    column = dice.choice(BYTES[table])
    key, value = _cell(connection, dice, table, column)
    changed = bytearray(value)
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    _set(connection, table, column, key, bytes(changed))


def a_byte_more_or_less(connection: Connection, dice: random.Random) -> None:
    """Bytes cut off, doubled or put in."""
    table = dice.choice(sorted(BYTES))
    column = dice.choice(BYTES[table])
    key, value = _cell(connection, dice, table, column)
    at = dice.randrange(len(value))
    changed = dice.choice([value[:at], value[:at] + value[at + 1 :], value[:at] + b"0" + value[at:], b""])
    _set(connection, table, column, key, changed)


def a_text(connection: Connection, dice: random.Random) -> None:
    """A column that questions are answered from."""
    table = dice.choice(sorted(TEXTS))
    column = dice.choice(TEXTS[table])
    key, value = _cell(connection, dice, table, column)
    other = dice.choice(["x", "main", "alpha", "event", (value or "") + " ", None])
    if other is None and (table, column) in (("archive", "id"), ("judgements", "words")):
        other = "y"
    if other is None and column in ("chain", "kind", "identity", "id"):
        other = "z"
    _set(connection, table, column, key, other if other != value else "another")


def a_number(connection: Connection, dice: random.Random) -> None:
    """A place, a sequence, a time."""
    table = dice.choice(sorted(NUMBERS))
    column = dice.choice(NUMBERS[table])
    key, value = _cell(connection, dice, table, column)
    _set(connection, table, column, key, value + dice.choice([100, -100, 1000, 2**40]))


def a_verdict(connection: Connection, dice: random.Random) -> None:
    """A refusal that never was, or one that is gone."""
    key, value = _cell(connection, dice, "judgements", "verdict")
    _set(connection, "judgements", "verdict", key, "ALLOW" if value == "DENY" else "DENY")


def a_record_gone(connection: Connection, dice: random.Random) -> None:
    """With what was derived from it."""
    seq = dice.randint(1, 24)
    _run(connection, "DELETE FROM judgements WHERE seq = :seq", seq=seq)
    _run(connection, "DELETE FROM records WHERE seq = :seq", seq=seq)


def a_gap_closed_up(connection: Connection, dice: random.Random) -> None:
    """A record is gone, and those after it move up."""
    seq = dice.randint(1, 23)
    a_record_of(connection, seq)
    for table in ("records", "judgements"):
        _run(connection, f"UPDATE {table} SET seq = -seq WHERE seq > :seq", seq=seq)
        _run(connection, f"UPDATE {table} SET seq = -seq - 1 WHERE seq < 0")


def a_record_of(connection: Connection, seq: int) -> None:
    """Takes record ``seq`` out."""
    _run(connection, "DELETE FROM judgements WHERE seq = :seq", seq=seq)
    _run(connection, "DELETE FROM records WHERE seq = :seq", seq=seq)


def two_swapped(connection: Connection, dice: random.Random) -> None:
    """Two records in each other's place."""
    one, other = dice.sample(range(1, 25), 2)
    for table in ("records", "judgements"):
        for old, new in ((one, -1), (other, one), (-1, other)):
            _run(connection, f"UPDATE {table} SET seq = :new WHERE seq = :old", new=new, old=old)


def a_record_doubled(connection: Connection, dice: random.Random) -> None:
    """At the end, or in between with the rest moved down."""
    seq, at = dice.randint(1, 24), dice.randint(1, 25)
    _run(connection, "UPDATE records SET seq = -seq - 1 WHERE seq >= :at", at=at)
    _run(connection, "UPDATE records SET seq = -seq WHERE seq < 0")
    _run(
        connection,
        "INSERT INTO records SELECT :at, chain, place + 100, kind, identity || 'x', id, at_us, bot, account, hash, body"
        " FROM records WHERE seq = :seq",
        at=at,
        seq=seq if seq < at else seq + 1,
    )


def a_record_moved(connection: Connection, dice: random.Random) -> None:
    """Into another chain, at its end."""
    seq, chain = dice.randint(1, 24), dice.choice(["other", "main", ""])
    ((end,),) = _run(connection, "SELECT coalesce(max(place), 0) FROM records WHERE chain = :chain", chain=chain)
    _run(
        connection,
        "UPDATE records SET chain = :chain, place = :place WHERE seq = :seq",
        chain=chain,
        place=end + 1,
        seq=seq,
    )


def a_tail_cut(connection: Connection, dice: random.Random) -> None:
    """Of everything, or of one chain; with or without the checkpoints that saw it."""
    seq = dice.randrange(24)
    tables = ["judgements", "records", *dice.choice([[], ["checkpoints"]])]
    for table in tables:
        _run(connection, f"DELETE FROM {table} WHERE seq > :seq", seq=seq)


def a_chain_cut(connection: Connection, dice: random.Random) -> None:
    """One account's newest records."""
    chain = dice.choice(["main", ""])
    seqs = [seq for (seq,) in _run(connection, "SELECT seq FROM records WHERE chain = :chain", chain=chain)]
    told = {"chain": chain, "seq": dice.choice(seqs)}
    gone = "SELECT seq FROM records WHERE chain = :chain AND seq >= :seq"
    _run(connection, f"DELETE FROM judgements WHERE seq IN ({gone})", **told)
    _run(connection, "DELETE FROM records WHERE chain = :chain AND seq >= :seq", **told)


def a_history_rewritten(connection: Connection, dice: random.Random) -> None:
    """A record is changed and every hash after it worked out anew, as whoever reads the code can do."""
    ((archive_id,),) = _run(connection, "SELECT id FROM archive")
    at = dice.randint(1, 24)
    heads: dict[str, Head] = {}
    for seq, chain, body in list(_run(connection, "SELECT seq, chain, body FROM records ORDER BY seq")):
        written = bytes(body)
        if seq == at:
            written = written.replace(b"2026-11-24", b"2026-11-25", 1)
        head = heads[chain] = link(heads.get(chain) or genesis(archive_id, chain), seq, written)
        _run(
            connection,
            "UPDATE records SET body = :body, hash = :hash WHERE seq = :seq",
            body=written,
            hash=head.hash,
            seq=seq,
        )
        if seq == at:
            day_us = 86_400_000_000
            for table in ("records", "judgements"):
                _run(connection, f"UPDATE {table} SET at_us = at_us + {day_us} WHERE seq = :seq", seq=seq)


def a_checkpoint_gone(connection: Connection, dice: random.Random) -> None:
    """Any of them, with or without the numbers closed up."""
    number = dice.randint(1, 3)
    _run(connection, "DELETE FROM checkpoints WHERE number = :number", number=number)
    if dice.random() < 0.5 and number < 3:
        _run(connection, "UPDATE checkpoints SET number = -number WHERE number > :number", number=number)
        _run(connection, "UPDATE checkpoints SET number = -number - 1 WHERE number < 0")


def checkpoints_swapped(connection: Connection, dice: random.Random) -> None:
    """One says what another said."""
    one, other = dice.sample([1, 2, 3], 2)
    ((content,),) = _run(connection, "SELECT content FROM checkpoints WHERE number = :number", number=other)
    _run(connection, "UPDATE checkpoints SET content = :content WHERE number = :number", content=content, number=one)


def a_judgement_gone(connection: Connection, dice: random.Random) -> None:
    """So that no question finds the decision."""
    key, _ = _cell(connection, dice, "judgements", "verdict")
    _run(connection, f"DELETE FROM judgements WHERE {_where(key)}", **key)


def a_seal_gone_or_of_before(connection: Connection, dice: random.Random) -> None:
    """Taken away, or one that was genuine once."""
    if dice.random() < 0.2:
        _run(connection, "DELETE FROM seal")
    else:
        number = dice.randint(1, 3)
        _run(connection, "UPDATE seal SET content = (SELECT content FROM checkpoints WHERE number = :n)", n=number)


def a_tail_forged(connection: Connection, dice: random.Random) -> None:
    """Records that never were, at the end, each hash as it has to be."""
    made = [Desk().event(f"forged-{number}", "override.approved") for number in range(dice.randint(1, 3))]
    add_records(connection, *made)


IN_THE_DATABASE: dict[str, Tampering] = {
    each.__name__: each
    for each in (
        a_byte,
        a_byte_more_or_less,
        a_text,
        a_number,
        a_verdict,
        a_record_gone,
        a_gap_closed_up,
        two_swapped,
        a_record_doubled,
        a_record_moved,
        a_tail_cut,
        a_chain_cut,
        a_history_rewritten,
        a_checkpoint_gone,
        checkpoints_swapped,
        a_judgement_gone,
        a_seal_gone_or_of_before,
        a_tail_forged,
    )
}


def an_anchors_byte(victim: Victim, dice: random.Random) -> None:
    """One bit of it."""
    changed = bytearray(victim.place.anchor.read_bytes())
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    victim.place.anchor.write_bytes(bytes(changed))


def an_anchor_cut_or_gone(victim: Victim, dice: random.Random) -> None:
    """Cut at any byte, or taken away."""
    raw = victim.place.anchor.read_bytes()
    if dice.random() < 0.2:
        victim.place.anchor.unlink()
    else:
        victim.place.anchor.write_bytes(raw[: dice.randrange(len(raw))])


def an_anchor_of_before(victim: Victim, dice: random.Random) -> None:
    """A checkpoint of before for an anchor, and everything after it cut off but for one checkpoint."""
    kept = victim.place.anchor.with_suffix(".kept")
    shutil.copy(victim.place.anchor, kept)
    number = dice.choice([1, 2])

    def cut(connection: Connection) -> None:
        ((content, seq),) = _run(connection, "SELECT content, seq FROM checkpoints WHERE number = :n", n=number)
        victim.place.anchor.write_bytes(bytes(content) + b"\n")
        for table in ("judgements", "records"):
            _run(connection, f"DELETE FROM {table} WHERE seq > :seq", seq=seq)

    victim.tamper_by(cut)
    kept.unlink()


def all_forged_but_the_signature(victim: Victim, dice: random.Random) -> None:
    """A record is changed or taken out, every hash after it is right, and checkpoints, seal and anchor fit."""
    seq, sign = dice.randint(1, 24), dice.choice([made_up, with_a_key_of_their_own])
    gone, passed = dice.random() < 0.5, 0

    def change(record: dict[str, Any]) -> dict[str, Any] | None:
        nonlocal passed
        passed += 1
        if passed != seq:
            return record
        return None if gone else record | {"desk": "another"}

    def forge(connection: Connection) -> None:
        sealed = sign(statement_of(connection, rewrite(connection, change)))
        put_seal(connection, sealed)
        victim.place.anchor.write_bytes(sealed.content + b"\n")

    victim.tamper_by(forge)


OF_THE_ANCHOR: dict[str, Callable[[Victim, random.Random], None]] = {
    each.__name__: each
    for each in (an_anchors_byte, an_anchor_cut_or_gone, an_anchor_of_before, all_forged_but_the_signature)
}

_KEYS = {
    "records": ("seq",),
    "judgements": ("seq", "item", "place"),
    "checkpoints": ("number",),
    "archive": (),
    "seal": (),
}


def _cell(connection: Connection, dice: random.Random, table: str, column: str):
    """One cell of a random row: its row's key, and its value."""
    names = _KEYS[table]
    rows = list(_run(connection, f"SELECT {', '.join([*names, column])} FROM {table}"))
    *key, value = dice.choice(rows)
    return dict(zip((f"key_{name}" for name in names), key, strict=True)), bytes(value) if isinstance(
        value, memoryview
    ) else value


def _set(connection: Connection, table: str, column: str, key: dict[str, object], value: object) -> None:
    _run(connection, f"UPDATE {table} SET {column} = :value WHERE {_where(key)}", value=value, **key)


def _where(key: dict[str, object]) -> str:
    return " AND ".join(f"{name.removeprefix('key_')} = :{name}" for name in key) or "1 = 1"


def _run(connection: Connection, statement: str, **values: object):
    return connection.execute(text(statement), values)
