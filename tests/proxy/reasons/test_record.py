"""The record of refusals as pages ask for it: what cannot be read is said, and a table of any length is whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from proxy.audit.place import ArchivePlace, archive_place
from proxy.policy.reading import parse_policy
from proxy.reasons import record
from proxy.reasons.plane import Wanted
from proxy.reasons.record import COLUMNS, ReasonsRecord
from proxy.refused import Refused
from tests.proxy.audit.conftest import POLICY, Desk
from tests.proxy.audit.damaging import cut_records, no_database

Ask = Callable[[ReasonsRecord], Awaitable[object]]


def a_record(place: ArchivePlace) -> ReasonsRecord:
    return ReasonsRecord(place, lambda: parse_policy(POLICY))


@pytest.fixture
def place(tmp_path: Path) -> ArchivePlace:
    """Four refusals of beta's, and what passed."""
    place, desk = archive_place(tmp_path, {}), Desk()
    desk.write(place, desk.day())
    return place


async def table(found: ReasonsRecord, wanted: Wanted | None = None) -> list[dict[str, str]]:
    told = b"".join([piece async for piece in found.table(wanted or Wanted())])
    return list(csv.DictReader(io.StringIO(told.decode(), newline="")))


ASKED: dict[str, Ask] = {
    "refusals": lambda found: found.refusals(Wanted(), limit=50),
    "counts": lambda found: found.counts(since=None, until=None),
    "table": table,
    "rules": lambda found: found.rules("d-1"),
    "what-if": lambda found: found.what_if("d-1", item="0", quantity="1", price=""),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("trouble", ["no database", "no answer"])
async def test_an_archive_that_cannot_be_read_is_not_an_empty_one(place: ArchivePlace, trouble: str, ask: Ask) -> None:
    if trouble == "no database":
        no_database(place)
    else:
        silent = make_url("postgresql+psycopg://guard:x@127.0.0.1:1/audit")
        place = ArchivePlace(directory=place.directory, url=silent)
    with pytest.raises(Refused, match="cannot be read; ask `perpguard audit verify`"):
        await ask(a_record(place))


@pytest.mark.parametrize("name", ["refusals", "table", "rules", "what-if"])
async def test_a_damaged_record_is_said_and_not_left_out(place: ArchivePlace, name: str) -> None:
    cut_records(place, "decision")
    with pytest.raises(Refused, match="cannot be read; ask `perpguard audit verify`"):
        await ASKED[name](a_record(place))


async def test_before_there_is_an_archive_nothing_was_refused(tmp_path: Path) -> None:
    found = a_record(archive_place(tmp_path, {}))
    told: list[Any] = [await ask(found) for ask in ASKED.values()]
    assert (tuple(told[0].rows), told[1:]) == ((), [{}, [], None, None])
    pieces = [piece async for piece in found.table(Wanted())]
    assert b"".join(pieces).decode() == ",".join(column.name for column in COLUMNS) + "\r\n"


async def test_a_table_goes_on_page_after_page_to_its_end_or_its_bound(
    place: ArchivePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await table(a_record(place))
    assert [row["id"] for row in whole] == ["d-7", "d-5", "d-3", "d-1"]
    monkeypatch.setattr(record, "_PAGE", 1)
    assert await table(a_record(place)) == whole
    monkeypatch.setattr(record, "_PAGE", 2)
    monkeypatch.setattr(record, "EXPORTED_MAX", 3)
    assert await table(a_record(place)) == whole[:3]
    assert await table(a_record(place), Wanted(bot="alpha")) == []


async def test_a_page_that_was_never_given_is_refused(place: ArchivePlace) -> None:
    with pytest.raises(Refused, match="no such page"):
        await table(a_record(place), Wanted(before="yesterday"))
