"""What is written is read back as it was; the command says what it wrote, or why it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.orderflow.command import main
from sandbox.orderflow.recording import read_labels, read_orders, write_labels, write_orders
from sandbox.orderflow.rows import FIELDS, events
from sandbox.orderflow.simulation import Stream

SMALL = ["--seed", "5", "--days", "2", "--each", "1"]


@pytest.fixture(scope="module")
def few(struck: dict[str, Stream]) -> list[Stream]:
    return [struck[account] for account in ("trend-1", "dca-1", "funding-2")]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_orders_come_back_as_they_were(tmp_path: Path, few: list[Stream], suffix: str) -> None:
    path = tmp_path / f"orders{suffix}"
    assert write_orders(path, few) == sum(len(stream.rows) for stream in few)
    found = list(read_orders(path))
    assert [order["ts"] for order in found] == sorted(order["ts"] for order in found)
    for stream in few:
        own = [{name: order[name] for name in FIELDS} for order in found if order["account"] == stream.account]
        assert own == list(events(stream.rows))


def test_labels_come_back_and_point_at_their_orders(tmp_path: Path, few: list[Stream]) -> None:
    assert write_labels(tmp_path / "labels", few) == sum(len(stream.incidents) for stream in few)
    labels = read_labels(tmp_path / "labels")
    assert {*labels} == {label for stream in few for label in stream.incidents}
    write_orders(tmp_path / "orders.jsonl", few)
    orders = list(read_orders(tmp_path / "orders.jsonl"))
    for label in labels:
        own = [order for order in orders if order["account"] == label.account]
        assert own[label.events[0]]["ts"] == label.start
        assert own[label.events[-1]]["ts"] == label.end


def test_another_csv_is_not_taken_for_orders(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="the columns must be account,ts,type,"):
        list(read_orders(tmp_path / "other.csv"))


def test_the_command_writes_the_same_files_in_every_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    labels = [tmp_path / "here.labels.jsonl", tmp_path / "there.labels.jsonl"]
    assert main([*SMALL, "--out", str(here)]) == 0
    counts = [len(path.read_text(encoding="utf-8").splitlines()) for path in (here, labels[0])]
    assert capsys.readouterr().out == f"{here}: {counts[0]} orders\n{labels[0]}: {counts[1]} incidents\n"
    subprocess.run(
        [sys.executable, "-m", "sandbox.orderflow", *SMALL, "--out", str(there)],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        stdout=subprocess.DEVNULL,
    )
    assert here.read_bytes() == there.read_bytes()
    assert labels[0].read_bytes() == labels[1].read_bytes()
    assert counts[1] > 5


def test_a_clean_recording_has_no_incidents(tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    assert main([*SMALL, "--out", str(tmp_path / "orders.csv"), "--labels", str(labels), "--clean"]) == 0
    assert read_labels(labels) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--out", "orders.txt"],
        ["--out", "o.csv", "--days", "1"],
        ["--out", "o.csv", "--days", "121"],
        ["--out", "o.csv", "--days", "x"],
        ["--out", "o.csv", "--each", "0"],
        ["--out", "o.csv", "--seed", "x"],
    ],
)
def test_arguments_that_cannot_be_used_are_refused(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2


def test_files_that_cannot_be_used_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--out", str(tmp_path / "o.csv"), "--bars", str(tmp_path / "none.csv")]) == 2
    assert "none.csv" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*SMALL, "--out", str(tmp_path / "absent" / "o.csv")])
    assert "there is no folder" in capsys.readouterr().err
    (tmp_path / "o.csv").mkdir()
    assert main(["--days", "2", "--each", "1", "--clean", "--out", str(tmp_path / "o.csv")]) == 2
    assert "o.csv" in capsys.readouterr().err


@pytest.mark.parametrize("twice", [("--labels", "orders.jsonl"), ("--bars", "orders.jsonl"), ("--bars", "labels")])
def test_no_file_is_written_over_another(
    tmp_path: Path, twice: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orders.jsonl").write_text("kept")
    with pytest.raises(SystemExit) as refused:
        main([*SMALL, "--labels", "labels", "--out", "./orders.jsonl", *twice])
    assert refused.value.code == 2 and "different files" in capsys.readouterr().err
    assert (tmp_path / "orders.jsonl").read_text() == "kept"
