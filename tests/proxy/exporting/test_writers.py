"""What is exported opens again as it was: no digit lost, no text that a spreadsheet would calculate."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exporting.cells import guarded
from proxy.exporting.columns import Column, Kind, UnwritableValue
from proxy.exporting.parquet import ROW_GROUP_ROWS
from proxy.exporting.writers import FORMATS, Format, write_rows

COLUMNS = (
    Column("at", Kind.TIME),
    Column("order"),
    Column("pnl", Kind.DECIMAL),
    Column("trade", Kind.INTEGER),
    Column("maker", Kind.BOOLEAN),
)
AT = datetime(2026, 11, 27, 9, 0, 0, 123456, UTC)
ROWS: list[dict[str, Any]] = [
    {"at": AT, "order": "=1+1", "pnl": Decimal("-0.000000000000000001"), "trade": -7, "maker": True},
    {"at": None, "order": None, "pnl": None, "trade": None, "maker": None},
    {
        "at": AT,
        "order": 'a,"b"\r\nc',
        "pnl": Decimal("123456789012.123456789012345678"),
        "trade": 2**63 - 1,
        "maker": False,
    },
]
FORMULAS = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1"]


def written(format: Format, rows: list[dict[str, Any]] = ROWS, columns: tuple[Column, ...] = COLUMNS) -> bytes:
    output = io.BytesIO()
    assert write_rows(rows, columns, output, format) == len(rows)
    return output.getvalue()


def test_csv_opens_again_with_numbers_as_numbers_and_text_as_text() -> None:
    lines = list(csv.reader(io.StringIO(written("csv").decode(), newline="")))
    assert lines == [
        ["at", "order", "pnl", "trade", "maker"],
        ["2026-11-27T09:00:00.123456Z", "'=1+1", "-0.000000000000000001", "-7", "true"],
        ["", "", "", "", ""],
        ["2026-11-27T09:00:00.123456Z", 'a,"b"\r\nc', "123456789012.123456789012345678", str(2**63 - 1), "false"],
    ]


def test_json_lines_open_again() -> None:
    first, second, third = map(json.loads, written("jsonl").splitlines())
    assert first == {
        "at": "2026-11-27T09:00:00.123456Z",
        "order": "=1+1",
        "pnl": "-0.000000000000000001",
        "trade": -7,
        "maker": True,
    }
    assert set(second.values()) == {None}
    assert third["pnl"] == "123456789012.123456789012345678"


def test_parquet_opens_again_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "fills.parquet"
    write_rows(ROWS, COLUMNS, path, "parquet")
    assert pl.read_parquet(path).to_dicts() == ROWS


def test_parquet_has_row_groups_in_order_and_an_empty_table_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "many.parquet"
    count = ROW_GROUP_ROWS + 1
    write_rows(({"trade": number} for number in range(count)), (Column("trade", Kind.INTEGER),), path, "parquet")
    assert pl.read_parquet(path)["trade"].to_list() == list(range(count))
    write_rows([], COLUMNS, path, "parquet")
    assert pl.read_parquet(path).columns == [column.name for column in COLUMNS]
    assert [each.name for each in tmp_path.iterdir()] == ["many.parquet"]


@pytest.mark.parametrize("text", FORMULAS, ids=[f"{text!r}" for text in FORMULAS])
def test_no_text_becomes_a_formula(text: str) -> None:
    content = written("csv", [{"id": text}], (Column("id"),)).decode()
    assert list(csv.reader(io.StringIO(content, newline=""))) == [["id"], ["'" + text]]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_can_be_had_back(text: str) -> None:
    cell = guarded(text)
    assert cell.removeprefix("'") == text
    assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**20) + 1, max_value=10**20 - 1))
def test_no_digit_is_lost_in_text(number: Decimal) -> None:
    line = written("csv", [{"pnl": number}], (Column("pnl", Kind.DECIMAL),)).decode().split()[1]
    assert Decimal(line) == number
    assert json.loads(written("jsonl", [{"pnl": number}], (Column("pnl", Kind.DECIMAL),))) == {"pnl": line}


WRONG: list[tuple[str, Column, object]] = [
    ("float", Column("x", Kind.DECIMAL), 0.1),
    ("nan", Column("x", Kind.DECIMAL), Decimal("NaN")),
    ("too-fine", Column("x", Kind.DECIMAL), Decimal("1E-19")),
    ("too-large", Column("x", Kind.DECIMAL), Decimal("1E20")),
    ("number-in-text", Column("x"), 1),
    ("text-in-number", Column("x", Kind.DECIMAL), "=1"),
    ("flag-in-integer", Column("x", Kind.INTEGER), True),
    ("too-long", Column("x", Kind.INTEGER), 2**63),
    ("no-zone", Column("x", Kind.TIME), datetime(2026, 1, 1)),
    ("one-for-true", Column("x", Kind.BOOLEAN), 1),
]


@pytest.mark.parametrize(("column", "value"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_what_a_column_cannot_hold_is_refused_and_says_where(column: Column, value: object) -> None:
    with pytest.raises(UnwritableValue, match=r"^row 1, x: "):
        write_rows([{"x": value}], [column], io.BytesIO(), "csv")


def test_a_row_with_another_column_is_refused() -> None:
    with pytest.raises(ValueError, match="symbl"):
        write_rows([{"symbl": "BTCUSDT"}], [Column("symbol")], io.BytesIO(), "csv")


def test_times_are_written_in_utc() -> None:
    at = AT.astimezone(timezone(timedelta(hours=9)))
    assert written("csv", [{"at": at}], (Column("at", Kind.TIME),)).split()[1] == b"2026-11-27T09:00:00.123456Z"


def test_half_a_surrogate_pair_is_spelt_out(tmp_path: Path) -> None:
    for format in FORMATS:
        write_rows([{"id": "\ud800"}], [Column("id")], tmp_path / format, format)
    assert pl.read_parquet(tmp_path / "parquet").item() == "\\ud800"


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_is_whole_or_as_it_was(tmp_path: Path, format: Format) -> None:
    path = tmp_path / "fills"
    path.write_text("yesterday's")

    def broken() -> Iterator[dict[str, Any]]:
        yield {"id": "first"}
        raise OSError("the archive is gone")

    with pytest.raises(OSError, match="the archive is gone"):
        write_rows(broken(), [Column("id")], path, format)
    assert path.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    write_rows(ROWS, COLUMNS, path, "csv")
    assert path.stat().st_mode & 0o777 == 0o600


def test_parquet_needs_a_file() -> None:
    with pytest.raises(ValueError, match="to a file"):
        write_rows([], COLUMNS, io.BytesIO(), "parquet")


@pytest.mark.parametrize("there", [True, False], ids=["file", "nothing yet"])
def test_a_link_goes_on_leading_to_the_file(tmp_path: Path, there: bool) -> None:
    link, target = tmp_path / "link.csv", tmp_path / "elsewhere" / "target.csv"
    target.parent.mkdir()
    if there:
        target.write_text("yesterday's")
    link.symlink_to(target)
    write_rows([{"id": "first"}], [Column("id")], link, "csv")
    assert link.is_symlink()
    assert target.read_text() == "id\nfirst\n"
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["elsewhere", "link.csv", "target.csv"]


def test_a_device_is_written_into_and_stays(tmp_path: Path) -> None:
    device = tmp_path / "null"
    device.symlink_to("/dev/null")
    assert write_rows([{"id": "first"}], [Column("id")], device, "jsonl") == 1
    assert Path("/dev/null").is_char_device()
    with pytest.raises(ValueError, match="not to a stream"):
        write_rows([{"id": "first"}], [Column("id")], device, "parquet")
