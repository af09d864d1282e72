"""Exports of a part, as evidence."""

import io
import json
from datetime import timedelta

import pytest

from proxy.audit.export import ExportBroken, read_export, write_export
from proxy.audit.reader import ArchiveReader
from proxy.audit.selection import Selection


def exported(place, selection):
    output = io.BytesIO()
    with ArchiveReader.open(place) as archive:
        write_export(archive, output, selection)
    return output.getvalue()


def seqs(raw):
    return [record.seq for record in read_export(io.BytesIO(raw))]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"account": "main"}, 16),
        ({"account": ""}, 8),
        ({"kinds": ("event", "outcome")}, 5),
        ({"account": "main", "kinds": ("decision",)}, 8),
        ({"account": "nobody"}, 0),
    ],
    ids=["an account", "the desk", "kinds", "both", "nobody"],
)
def test_a_part_is_what_was_asked_for_and_proves_itself(day, filters, count):
    raw = exported(day, Selection(**filters))
    assert len(seqs(raw)) == count
    header = json.loads(raw.splitlines()[0])
    assert (header["records"], header["head"]) == (count, None)


def test_a_time_is_half_open(day, desk):
    since, until = desk.start + timedelta(seconds=2), desk.start + timedelta(seconds=4)
    raw = exported(day, Selection(since=since, until=until))
    times = {json.loads(line)["record"]["at"] for line in raw.splitlines()[1:]}
    assert times == {"2026-11-24T09:00:02Z", "2026-11-24T09:00:03Z"}


@pytest.mark.parametrize("line", range(1, 9))
def test_a_part_that_was_changed_or_cut_is_refused(day, line):
    lines = exported(day, Selection(account="main", kinds=("decision",))).splitlines(keepends=True)
    changed = lines[line].replace(b"BTCUSDT", b"ETHUSDT", 1)
    for broken in ([*lines[:line], changed, *lines[line + 1 :]], [*lines[:line], *lines[line + 1 :]], lines[:line]):
        with pytest.raises(ExportBroken):
            list(read_export(io.BytesIO(b"".join(broken))))


def test_the_whole_says_so(day):
    assert json.loads(exported(day, Selection()).splitlines()[0])["head"] is not None
