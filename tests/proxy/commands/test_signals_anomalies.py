"""``perpguard signals anomalies``: a recorded stream scored as it would have been, and what is wrong with a file."""

from __future__ import annotations

import csv
import json
import math

import pytest

from proxy.cli import main
from proxy.commands.signals_anomalies import UnreadableOrders, read_orders, score_orders
from tests.proxy.signals.order_flows import DAY, START, a_trader, an_event

COLUMNS = ("account", "ts", "type", "symbol", "side", "notional", "distance_bps", "round_trip_ms", "rejected")


def stream():
    """Twelve days of one account, then a fat finger, and a second account that has only begun."""
    events = [{"account": "main", **event} for event in a_trader(days=12, a_day=40)]
    finger = an_event(START + 12 * DAY + 12 * 3600, notional=60_000.0)
    return [*events, {"account": "main", **finger}, {"account": "second", **an_event(START + 13 * DAY)}]


@pytest.fixture
def written(tmp_path):
    """Writes events to a file of either kind."""

    def write(events, name):
        path = tmp_path / name
        if name.endswith(".csv"):
            with path.open("w", newline="") as lines:
                rows = csv.DictWriter(lines, COLUMNS)
                rows.writeheader()
                rows.writerows(events)
        else:
            path.write_text("".join(json.dumps(event) + "\n" for event in events))
        return path

    return write


@pytest.mark.parametrize("name", ["orders.csv", "orders.jsonl"])
def test_a_recorded_stream_is_scored(written, capsys, name):
    assert main(["signals", "anomalies", "--orders", str(written(stream(), name)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["accounts"]) == ["main", "second"]
    main_account = found["accounts"]["main"]
    assert main_account["alarms"][-1]["ts"] == START + 12 * DAY + 12 * 3600
    assert any("60,000 USDT" in why for why in main_account["alarms"][-1]["why"])
    assert main_account["highest"] >= 1
    assert found["accounts"]["second"]["alarm_count"] == 0


def test_both_kinds_of_file_come_to_the_same(written):
    found = [score_orders(read_orders(written(stream(), name)), threshold=0.0) for name in ("a.csv", "a.jsonl")]
    assert found[0] == found[1]


def test_without_json_it_is_a_line_for_each_account_and_alarm(written, capsys):
    assert main(["signals", "anomalies", "--orders", str(written(stream(), "orders.csv"))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("main: ")
    assert any("size 60,000 USDT" in line for line in lines)


def test_alarms_within_ten_minutes_are_one(written):
    again = [{"account": "main", **an_event(START + 12 * DAY + 12 * 3600 + n, notional=60_000.0)} for n in range(9)]
    found = score_orders(read_orders(written([*stream(), *again], "orders.jsonl")), threshold=1.0)
    assert found["accounts"]["main"]["alarm_count"] == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ("5", "not an object"),
        (json.dumps(an_event(START)), "no account"),
        (json.dumps({"account": "a", **an_event(START), "type": "replace"}), "type is 'replace'"),
        (json.dumps({"account": "a", **an_event(START), "notional": "much"}), "notional is no number"),
        (json.dumps({"account": "a", **an_event(START), "rejected": "perhaps"}), "rejected is neither"),
        (json.dumps({"account": "a", **an_event(math.nan)}), "ts is no time in seconds"),
        (json.dumps({"account": "a", **an_event(START * 1000)}), "ts is no time in seconds"),
        (json.dumps({"account": "a", **an_event(-1.0)}), "ts is no time in seconds"),
    ],
)
def test_a_line_nobody_can_read_is_named(tmp_path, capsys, line, says):
    path = tmp_path / "orders.jsonl"
    path.write_text(json.dumps({"account": "a", **an_event(START)}) + "\n" + line + "\n")
    assert main(["signals", "anomalies", "--orders", str(path), "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{path}:2: {says}" in captured.err


def test_a_table_without_a_column_is_named(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("account,ts,type\n")
    with pytest.raises(UnreadableOrders, match=r"orders\.csv:1: no column symbol, side"):
        list(read_orders(path))


def test_a_row_too_short_is_named(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("account,ts,type,symbol,side\na,1,new,BTCUSDT\n")
    with pytest.raises(UnreadableOrders, match=r"orders\.csv:2: not as many"):
        list(read_orders(path))


def test_a_file_that_is_not_there_is_named(capsys, tmp_path):
    assert main(["signals", "anomalies", "--orders", str(tmp_path / "none.csv")]) == 2
    assert "none.csv: No such file" in capsys.readouterr().err


def test_bytes_that_are_no_text_are_said_to_be_none(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableOrders, match="not UTF-8"):
        list(read_orders(path))
