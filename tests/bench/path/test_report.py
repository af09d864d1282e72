"""What the table says of measured numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.machine import percentile
from bench.path.measuring import Mode, Reading, Way
from bench.path.report import as_json, as_summary, as_table, put_into

README = Path(__file__).resolve().parents[3] / "README.md"
ONE = Mode("one at a time", 1, 1.0)
PACED = Mode("200/s", 32, 2.0, 200.0)


def a_way(name: str, p50: float, p99: float, rate: float, mode: Mode = ONE) -> Way:
    reading = Reading(
        orders=10,
        p50=[p50 - 1, p50, p50 + 50],
        p99=[p99] * 3,
        rates=[rate] * 3,
        micros=[p50, p99],
        cpu_us=[20.0] * 3,
        cpu_with_store_us=[30.0 if name == "guard" else 20.0] * 3,
    )
    return Way(name, ("127.0.0.1", 1), "", [], readings={mode.name: reading}, rss_mib=9.6)


def rows(table: str) -> dict[str, list[str]]:
    """The cells of Markdown tables by the first cell of each row."""
    lines = [line for line in table.splitlines() if line.startswith("|") and not line.startswith("|-")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_what_is_added_is_counted_in_units_of_nginx_each_door_of_its_own() -> None:
    ways = [
        a_way("direct", 100, 200, 9000),
        a_way("nginx", 150, 250, 6000),
        a_way("guard", 350, 500, 3000),
        a_way("nginx by TLS", 200, 300, 5000),
        a_way("guard by TLS", 300, 450, 2500),
    ]
    found = rows(as_table(ways, [ONE], {}, "a machine", "today"))
    assert found["direct"][:6] == ["10", "100", "200", "200", "-", "-"]
    assert found["nginx"][4:] == ["50", "50", "1.0", "1.0", "6000", "1.00", "20", "10"]
    assert found["guard"][4:] == ["250", "300", "5.0", "2.0", "3000", "0.50", "20, with the store 30", "10"]
    assert found["guard by TLS"][4:10] == ["200", "250", "2.0", "1.5", "2500", "0.50"]


def test_the_readme_gets_the_short_table_between_its_marks() -> None:
    thirty_two = Mode("32 at once", 32, 1.0)
    ways = [a_way(name, p50, 2 * p50, 9000 / p50) for name, p50 in (("direct", 100), ("nginx", 150), ("guard", 350))]
    for way in ways:
        way.readings[thirty_two.name] = way.readings[ONE.name]
    summary = as_summary(ways, [ONE, thirty_two], "a machine", "today")
    found = rows(summary)
    assert found["nginx"] == ["50", "1.0", "1.0", "1.00", "20", "10"]
    assert found["guard"] == ["250", "5.0", "2.3", "0.43", "20, with the store 30", "10"]
    marks = (
        "<!-- the order path, written by python -m bench.path --readme -->",
        "<!-- the order path ends -->",
    )
    assert put_into(f"before\n{marks[0]}\nold\n{marks[1]}\nafter\n", "new") == (
        f"before\n{marks[0]}\nnew\n{marks[1]}\nafter\n"
    )
    with pytest.raises(ValueError, match="has no <!-- the order path"):
        put_into("a page without them", "new")
    assert marks[0] in README.read_text() and marks[1] in README.read_text()


def test_without_nginx_there_are_no_ratios() -> None:
    found = rows(as_table([a_way("direct", 100, 200, 9000), a_way("guard", 350, 500, 3000)], [ONE], {}, "", ""))
    assert found["guard"][4:10] == ["250", "300", "-", "-", "3000", "-"]


def test_rates_have_a_table_of_their_own() -> None:
    table = as_table([a_way("guard", 350, 500, 200, PACED)], [ONE, PACED], {"hold, mean": 99.6}, "a machine", "today")
    assert rows(table)["guard, 200/s"] == ["10", "350", "500", "500", "20"]
    assert rows(table)["hold, mean"] == ["100"]
    assert table.endswith("a machine; today")


def test_json_has_each_round() -> None:
    told = as_json([a_way("guard", 350, 500, 3000)], [ONE], {}, "a machine", "today")
    assert told["ways"]["guard"]["modes"]["one at a time"]["rounds"]["p50_us"] == [349, 350, 400]
    assert (told["machine"], told["date"]) == ("a machine", "today")


def test_a_percentile_is_the_nearest_rank() -> None:
    hundred = list(range(1, 101))
    assert [percentile(hundred, percent) for percent in (50, 99, 99.9)] == [50, 99, 100]
    assert percentile([7], 99.9) == 7
    assert percentile(list(range(1, 1001)), 99.9) == 999
