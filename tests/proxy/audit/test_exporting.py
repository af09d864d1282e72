"""Exports of a part, as evidence and as tables."""

import csv
import errno
import io
import json
from datetime import timedelta

import polars
import pytest

from proxy.audit.export import ExportBroken, read_export, write_export
from proxy.audit.exporting import COLUMNS, WHOLE, table_rows
from proxy.audit.place import archive_place
from proxy.audit.reader import ArchiveReader
from proxy.audit.selection import Selection
from proxy.cli import main
from proxy.exporting.writers import write_rows


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


def a_table(place, tmp_path, form):
    path = tmp_path / f"table.{form}"
    whole = form == "parquet"
    with ArchiveReader.open(place) as archive, archive.standing_still():
        rows = table_rows(archive, Selection(), whole=whole)
        assert write_rows(rows, WHOLE if whole else COLUMNS, path, form) == 24
    return path


def test_a_table_has_a_row_for_every_record(day, tmp_path):
    with a_table(day, tmp_path, "csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["seq"]) for row in rows] == list(range(1, 25))
    refused = next(row for row in rows if row["verdict"] == "DENY")
    assert (refused["what"], refused["code"]) == ("BUY 3 BTCUSDT MARKET", "ORDER_VALUE_ABOVE_LIMIT")
    assert (refused["observed"], refused["limit"]) == ("180000.00", "100000.00")
    assert rows[-1]["what"] == "kill.engaged"
    frame = polars.read_parquet(a_table(day, tmp_path, "parquet"))
    assert frame["code"].to_list().count("ORDER_VALUE_ABOVE_LIMIT") == 4
    assert frame["seq"].to_list() == list(range(1, 25))
    assert json.loads(frame["record"][-1])["by"] == "ada"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")'])
def test_no_cell_is_a_formula(place, desk, tmp_path, text):
    event = desk.event("e-1", what=text)
    intent = desk.intent(1, bot=text) | {"account": text, "id": text}
    desk.write(place, [event, intent])
    path = tmp_path / "table.csv"
    with ArchiveReader.open(place) as archive, archive.standing_still():
        write_rows(table_rows(archive, Selection(), whole=False), COLUMNS, path, "csv")
    with path.open(newline="", encoding="utf-8") as file:
        cells = [cell for row in list(csv.reader(file))[1:] for cell in row]
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_an_export_that_fails_leaves_the_earlier_one(desk, tmp_path, monkeypatch, capsys, form):
    desk.write(archive_place(tmp_path, {}), desk.day())
    path, words = tmp_path / f"evidence.{form}", ["--data-dir", str(tmp_path), "audit", "export", "--format", form]
    assert main([*words, "--output", str(path)]) == 0
    before, whole = path.read_bytes(), ArchiveReader.stream

    def full(archive, question):
        for count, row in enumerate(whole(archive, question)):
            if count == 5:
                raise OSError(errno.ENOSPC, "No space left on device")
            yield row

    with monkeypatch.context() as patched:
        patched.setattr(ArchiveReader, "stream", full)
        assert main([*words, "--output", str(path)]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.glob("*evidence*")] == [path.name]
    if form == "jsonl":
        assert main(["--data-dir", str(tmp_path), "audit", "replay", "--from", str(path)]) == 0
        assert path.stat().st_mode & 0o777 == 0o600
