"""The record as a table."""

import csv
import json

import polars
import pytest

from proxy.audit.reader import ArchiveReader
from proxy.audit.selection import Selection
from proxy.audit.table import COLUMNS, WHOLE, table_rows
from proxy.exporting.writers import write_rows


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
