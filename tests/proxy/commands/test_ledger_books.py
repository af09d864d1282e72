"""`perpguard export` and `perpguard ledger show | reconcile | execution` as one types them, on a kept ledger."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from proxy.cli import main
from proxy.commands import export as export_command
from proxy.ledger.books.book import LedgerBook
from proxy.ledger.books.rows import moment
from proxy.ledger.books.schema import books_path
from proxy.ledger.books.spans import Span
from rules.model import Side
from tests.proxy.ledger.books.builders import ACCOUNT, DAY_MS, MINUTE_MS, NOW_MS, a_fill, an_income, booked, keep

Run = Callable[..., tuple[int, str, str]]

FILLS = [
    a_fill(1, NOW_MS - 90 * MINUTE_MS),
    a_fill(2, NOW_MS - 80 * MINUTE_MS, commission=Decimal("0.00001234"), commission_asset="BNB"),
    a_fill(3, NOW_MS - 70 * MINUTE_MS, symbol="ETHUSDT", side=Side.SELL, commission=Decimal("-0.1"), maker=True),
    a_fill(4, NOW_MS - 60 * MINUTE_MS, symbol="ETHUSDT", commission=Decimal(0), realised_pnl=Decimal(0)),
]
NAMES = {"1": "grid/1", "2": "=cmd/2", "3": "autoclose-1", "4": "grid/\x1b[2J"}
FUNDING = an_income("FUNDING_FEE", "-0.50000001", NOW_MS - 50 * MINUTE_MS, symbol="BTCUSDT")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment up to which the ledgers here have been read."""
    monkeypatch.setattr(export_command, "utc_now", lambda: moment(NOW_MS))


@pytest.fixture
def run(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    book = LedgerBook.open(books_path(tmp_path))
    transfer = an_income("TRANSFER", "-100", NOW_MS - 40 * MINUTE_MS)
    keep(book, FILLS, [*(row for fill in FILLS for row in booked(fill)), FUNDING, transfer], names=NAMES)
    book.share_funding(ACCOUNT, FUNDING.row_id, {"grid": Decimal("-0.2"), "=cmd": Decimal("-0.30000001")})
    book.close()

    def command(*words: str) -> tuple[int, str, str]:
        code = main(["--data-dir", str(tmp_path), *words])
        said = capsysbinary.readouterr()
        return code, said.out.decode(), said.err.decode()

    return command


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_every_fill_is_exported_with_whose_it_is_and_no_cell_is_a_formula(run: Run) -> None:
    code, told, _ = run("export", "fills")
    found = rows_of(told)
    assert code == 0 and [row["trade_id"] for row in found] == ["1", "2", "3", "4"]
    assert [row["bot"] for row in found] == ["grid", "'=cmd", "", "grid"]
    assert [row["fee"] for row in found] == ["-0.30000050", "-0.00001234", "0.1", "0"]
    assert found[1]["client_order_id"] == "'=cmd/2" and found[2]["origin"] == "liquidation"


def test_what_a_bot_called_its_order_steers_no_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    piped = rows_of(run("export", "fills")[1])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, told, _ = run("export", "fills")
    shown = rows_of(told)
    assert code == 0 and [row["trade_id"] for row in shown] == [row["trade_id"] for row in piped]
    assert (piped[3]["client_order_id"], shown[3]["client_order_id"]) == ("grid/\x1b[2J", r"grid/\x1b[2J")


def test_parquet_and_json_lines_are_the_csv(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "fees.parquet"
    code, told, said = run("export", "fees", "--output", str(path))
    assert (code, told) == (0, "") and "3 rows" in said
    opened = pl.read_parquet(path)
    assert opened["fee"].to_list() == [Decimal("-0.30000050"), Decimal("-0.00001234"), Decimal("0.1")]
    assert opened["fee_asset"].to_list() == ["USDT", "BNB", "USDT"]
    lines = [json.loads(line) for line in run("export", "fees", "--format", "jsonl")[1].splitlines()]
    assert [line["fee"] for line in lines] == [row["fee"] for row in rows_of(run("export", "fees")[1])]
    assert lines[1]["bot"] == "=cmd"


def test_profit_fees_and_funding_stand_in_columns_of_their_own(run: Run) -> None:
    found = rows_of(run("export", "pnl")[1])
    assert {
        (row["bot"], row["symbol"], row["asset"]): (row["trading_pnl"], row["fees"], row["funding"]) for row in found
    } == {
        ("'=cmd", "BTCUSDT", "BNB"): ("0", "-0.00001234", "0"),
        ("'=cmd", "BTCUSDT", "USDT"): ("1.25000001", "0", "-0.30000001"),
        ("", "ETHUSDT", "USDT"): ("1.25000001", "0.1", "0"),
        ("grid", "BTCUSDT", "USDT"): ("1.25000001", "-0.30000050", "-0.2"),
    }
    assert sum(Decimal(row["amount"]) for row in rows_of(run("export", "funding")[1])) == FUNDING.amount


@pytest.mark.parametrize(
    ("words", "trades"),
    [
        (("--bot", "grid"), ["1", "4"]),
        (("--bot", ""), ["3"]),
        (("--symbol", "ETHUSDT"), ["3", "4"]),
        (("--since", "2026-11-24T07:45", "--until", "2026-11-24T08:00"), ["3"]),
    ],
    ids=["bot", "nobody", "symbol", "time"],
)
def test_only_what_is_asked_for_is_exported(run: Run, words: tuple[str, ...], trades: list[str]) -> None:
    assert [row["trade_id"] for row in rows_of(run("export", "fills", *words)[1])] == trades


def test_parquet_is_not_written_to_a_pipe(run: Run) -> None:
    code, told, said = run("export", "fills", "--format", "parquet")
    assert (code, told) == (2, "") and "--output FILE" in said


def test_where_there_is_no_ledger_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["export", "fills"], ["ledger", "show"], ["ledger", "reconcile"], ["ledger", "execution"]):
        assert main(["--data-dir", str(tmp_path), *words]) == 2
        assert "there is no ledger" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["words", "json"])
def test_a_ledger_that_has_read_nothing_is_not_reconciled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    LedgerBook.open(books_path(tmp_path)).close()
    assert main(["--data-dir", str(tmp_path), "ledger", "reconcile", *more]) == 1
    said = capsys.readouterr()
    assert "nothing has been read yet" in said.err
    assert said.out == ("[]\n" if more else "")


def test_the_verdict_is_said_and_is_the_exit_code(run: Run, tmp_path: Path) -> None:
    code, told, _ = run("ledger", "reconcile")
    assert code == 0
    assert "main: reconciled to the last digit for 2026-11-23 09:00:00 to 2026-11-24 09:00:00 UTC, 5 trades" in told
    book = LedgerBook.open(books_path(tmp_path))
    keep(book, [a_fill(9, NOW_MS - 30 * MINUTE_MS)], [])
    book.close()
    code, told, _ = run("ledger", "reconcile")
    assert code == 1 and "2 amounts differ" in told
    code, told, _ = run("ledger", "reconcile", "--json")
    (found,) = json.loads(told)
    assert (code, found["standing"], found["differing"]) == (1, "differs", 2)
    assert run("ledger", "reconcile", "--until", "2026-11-24T08:15")[0] == 0
    code, _, said = run("ledger", "reconcile", "--account", "other")
    assert code == 2 and "known: main" in said


def test_the_books_are_shown_side_by_side(run: Run) -> None:
    code, told, _ = run("ledger", "show")
    assert code == 0 and "TRANSFER" in told and "complete from 2026-11-23 09:00:00 to 2026-11-24 09:00:00 UTC" in told
    shown: dict[str, Any] = json.loads(run("ledger", "show", "--json")[1])
    grid = next(each for each in shown["books"] if (each["bot"], each["symbol"]) == ("grid", "BTCUSDT"))
    assert (grid["trading"], grid["fees"], grid["funding"]) == (
        {"USDT": "1.25000001"},
        {"USDT": "-0.30000050"},
        {"USDT": "-0.2"},
    )
    assert shown["also_booked"] == [{"account": "main", "kind": "TRANSFER", "amounts": {"USDT": "-100"}}]


def test_execution_is_shown_by_day(run: Run) -> None:
    code, told, _ = run("ledger", "execution", "--since", "2026-11-20")
    assert code == 0 and "2026-11-24" in told
    days = json.loads(run("ledger", "execution", "--since", "2026-11-20", "--json")[1])
    assert {(day["bot"], day["unmeasured_fills"]) for day in days} == {("grid", 1), ("=cmd", 1)}


@pytest.mark.parametrize("words", [("export", "fills"), ("ledger", "execution"), ("ledger", "show")], ids=" ".join)
def test_an_account_that_has_no_ledger_is_said(run: Run, words: tuple[str, ...]) -> None:
    code, told, said = run(*words, "--account", "mian")
    assert (code, told) == (2, "") and "there is no ledger of account mian; known: main" in said


WITH_A_GAP = "main: complete from 2026-11-17 09:00:00 to 2026-11-24 09:00:00 UTC, but for"


@pytest.fixture
def gap(tmp_path: Path) -> Path:
    """Five days that have not been read, and two that have."""
    book = LedgerBook.open(books_path(tmp_path))
    book.begin(ACCOUNT, NOW_MS - 7 * DAY_MS)
    for begin, end in ((7, 6), (1, 0)):
        book.add_income(ACCOUNT, [], Span(NOW_MS - begin * DAY_MS, NOW_MS - end * DAY_MS))
    book.close()
    return tmp_path


@pytest.mark.parametrize(
    "words", [("export", "pnl"), ("export", "fills", "--since", "2026-11-19"), ("ledger", "execution")], ids=" ".join
)
def test_what_has_not_been_read_is_said_beside_the_rows(
    gap: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    if words == ("ledger", "execution"):
        words = (*words, "--since", "2026-11-19")
    assert main(["--data-dir", str(gap), *words]) == 0
    said = capsys.readouterr()
    assert WITH_A_GAP in said.err and "the statement from 2026-11-18 09:00:00 to 2026-11-23 09:00:00" in said.err
    assert WITH_A_GAP not in said.out


def test_a_gap_that_was_not_asked_about_is_not_said(gap: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("--since", "2026-11-23T09:00"), ("--until", "2026-11-18T09:00")):
        assert main(["--data-dir", str(gap), "export", "fills", *words]) == 0
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "words", [("export", "fills"), ("ledger", "execution"), ("ledger", "show")], ids=lambda words: " ".join(words)
)
def test_what_a_ledger_is_behind_is_said_as_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(export_command, "utc_now", lambda: moment(NOW_MS + 2 * DAY_MS))
    code, told, said = run(*words, "--since", "2026-11-25T09:00")
    assert code == 0
    assert "the statement from 2026-11-24 09:00:00 to 2026-11-26 09:00:00" in (told if "show" in words else said)
    assert run("export", "fills", "--until", "2026-11-24T08:00")[2] == ""


def test_the_first_day_of_all_calendars_can_be_asked_for(run: Run) -> None:
    for words in (("ledger", "execution"), ("ledger", "show"), ("ledger", "reconcile"), ("export", "fills")):
        code, told, _ = run(*words, "--since", "0001-01-01")
        assert code == 0 and told


def test_the_format_is_that_of_the_files_name_in_any_letters(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "FEES.PARQUET"
    assert run("export", "fees", "--output", str(path))[0] == 0
    assert len(pl.read_parquet(path)) == 3


def test_a_pipe_is_written_into_and_takes_no_parquet(run: Run, tmp_path: Path) -> None:
    pipe, told = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: told.append(pipe.read_text()), daemon=True)
    reader.start()
    assert run("export", "fills", "--output", str(pipe))[0] == 0
    reader.join(10)
    assert [row["trade_id"] for row in rows_of(told[0])] == ["1", "2", "3", "4"]
    assert pipe.is_fifo()
    code, _, said = run("export", "fills", "--format", "parquet", "--output", str(pipe))
    assert code == 2 and "Parquet is written to a file" in said
