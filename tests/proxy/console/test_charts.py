"""What is said beside the charts: enough that nobody needs the picture."""

from __future__ import annotations

from proxy.console.charts import LINES_MAX, charts_of
from proxy.console.history_plane import HistoryView

BEGIN = 1_795_510_800.0  # 09:00 UTC


def a_history(**series: list[float | None]) -> HistoryView:
    named = {name.replace("__", ":"): values for name, values in series.items()}
    count = len(next(iter(named.values())))
    return HistoryView(every_s=60.0, at=[BEGIN + 1800 * at for at in range(count)], series=named)


def test_a_line_says_now_and_its_highest() -> None:
    (chart,) = charts_of(a_history(anomaly=[0.1, 0.9, 0.25]))
    (line,) = chart.lines
    assert (chart.title, line.name, line.now, line.highest, line.highest_at) == (
        "Anomaly",
        "desk",
        "0.25",
        "0.90",
        "09:30",
    )
    assert chart.pairs == [("anomaly", "desk")]


def test_the_table_has_the_highest_of_every_hour_the_newest_first() -> None:
    (chart,) = charts_of(a_history(leverage__main=[1.0, 3.0, 2.0, None], leverage__b=[None, None, None, 1.5]))
    assert [line.name for line in chart.lines] == ["main", "b"]
    assert chart.rows == (("10:00", ("2.00×", "1.50×")), ("09:00", ("3.00×", "–")))


def test_what_is_not_known_now_is_not_given_an_old_value() -> None:
    (chart,) = charts_of(a_history(liquidation__main=[0.004, None]))
    assert chart.lines[0].now == "not known"
    assert chart.lines[0].highest == "0.4 %"


def test_without_a_value_there_is_no_chart() -> None:
    assert charts_of(a_history(anomaly=[None, None])) == ()
    assert charts_of(HistoryView(every_s=60.0)) == ()


def test_only_the_largest_lines_are_drawn() -> None:
    many = {f"leverage__a{at}": [float(at)] for at in range(LINES_MAX + 2)}
    (chart,) = charts_of(a_history(**many))
    assert (chart.lines[0].name, len(chart.lines), chart.left_out) == (f"a{LINES_MAX + 1}", LINES_MAX, 2)
