"""The run as a table for people and as JSON for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.path.measuring import Mode, Way

DIRECT: Final = "direct"
YARDSTICK: Final = "nginx"
TLS: Final = " by TLS"

_CLOSED: Final = (
    "| way | orders | p50 µs | p99 µs | p99.9 µs | added p50 µs | added p99 µs | added p50, x nginx | p99, x nginx "
    "| orders/s | orders/s, x nginx | CPU µs an order | RSS MiB |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
)
_OPEN: Final = (
    "| way, orders a second | orders | p50 µs | p99 µs | p99.9 µs | CPU µs an order |",
    "|---|---|---|---|---|---|",
)
_OF_RATES: Final = ("orders", "p50_us", "p99_us", "p99_9_us", "cpu_us")
_SUMMARY: Final = (
    "| way | added, µs | added, x nginx | p99, x nginx | orders/s, {most}, x nginx | CPU µs an order | RSS MiB |",
    "|---|---|---|---|---|---|---|",
)
_BEGIN: Final = "<!-- the order path, written by python -m bench.path --readme -->"
_END: Final = "<!-- the order path ends -->"
_ALONE: Final = ("| the guard alone, one at a time | µs |", "|---|---|")

Facts = Mapping[str, float]


def as_json(ways: Sequence[Way], modes: Sequence[Mode], alone: Facts, where: str, when: str) -> dict[str, Any]:
    """Everything that was measured, with the medians over the rounds and each round's own."""
    return {
        "machine": where,
        "date": when,
        "modes": {mode.name: {"at_once": mode.at_once, "seconds": mode.seconds, "rate": mode.rate} for mode in modes},
        "ways": {
            way.name: {
                "rss_mib": way.rss_mib,
                "modes": {
                    name: reading.facts()
                    | {"rounds": {"p50_us": reading.p50, "p99_us": reading.p99, "orders_per_s": reading.rates}}
                    for name, reading in way.readings.items()
                },
            }
            for way in ways
        },
        "guard_alone_us": dict(alone),
    }


def as_table(ways: Sequence[Way], modes: Sequence[Mode], alone: Facts, where: str, when: str) -> str:
    """Markdown: one table a closed loop, one of the rates, one of the guard alone; machine and date below."""
    parts = []
    for mode in modes:
        if mode.rate is None:
            lines = [f"| {' | '.join(cells)} |" for cells in _cells_by_way(ways, mode.name).values()]
            parts += [f"**{mode.name}**", "", *_CLOSED, *lines, ""]
    rows = [
        f"| {way.name}, {mode.name} | {' | '.join(_numbers(facts, *_OF_RATES))} |"
        for mode in modes
        if mode.rate is not None
        for way in ways
        if mode.name in way.readings
        for facts in [way.readings[mode.name].facts()]
    ]
    if rows:
        parts += ["**at fixed rates**", "", *_OPEN, *rows, ""]
    if alone:
        parts += [*_ALONE, *(f"| {name} | {micros:.0f} |" for name, micros in alone.items()), ""]
    return "\n".join((*parts, f"{where}; {when}"))


def as_summary(ways: Sequence[Way], modes: Sequence[Mode], where: str, when: str) -> str:
    """What a reader wants first: each proxy in units of nginx, at one connection and at the most."""
    one, most = [mode.name for mode in modes if mode.rate is None]
    at_one, at_most = _cells_by_way(ways, one), _cells_by_way(ways, most)
    # Columns of the whole table: added p50 and its ratio, the p99's, orders a second, processor time and memory.
    rows = [
        f"| {' | '.join((name, cells[5], cells[7], cells[8], at_most[name][10], cells[11], cells[12]))} |"
        for name, cells in at_one.items()
        if name != DIRECT
    ]
    return "\n".join((_SUMMARY[0].format(most=most), _SUMMARY[1], *rows, "", f"{where}; {when}"))


def put_into(page: str, summary: str) -> str:
    """The page with the summary between its two marks. Raises ``ValueError`` where they are missing."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page has no {_BEGIN} followed by {_END}")
    return f"{before}{begin}\n{summary}\n{end}{after}"


def _cells_by_way(ways: Sequence[Way], mode: str) -> dict[str, list[str]]:
    facts = {way.name: way.readings[mode].facts() for way in ways if mode in way.readings}
    direct = facts.get(DIRECT)
    rows = {}
    for way in ways:
        if way.name not in facts:
            continue
        own = facts[way.name]
        # A way by TLS is measured against nginx by TLS, both over the plain direct way.
        yardstick = facts.get(YARDSTICK + TLS if way.name.endswith(TLS) else YARDSTICK)
        cells = [way.name, *_numbers(own, "orders", "p50_us", "p99_us", "p99_9_us"), *_added(own, direct)]
        if own is direct or direct is None or yardstick is None:
            cells += ["-", "-"]
        else:
            cells.append(_ratio(own["p50_us"] - direct["p50_us"], yardstick["p50_us"] - direct["p50_us"]))
            cells.append(_ratio(own["p99_us"], yardstick["p99_us"]))
        cells.append(f"{own['orders_per_s']:.0f}")
        cells.append("-" if yardstick is None else f"{own['orders_per_s'] / yardstick['orders_per_s']:.2f}")
        cells += ["-", "-"] if own is direct else [_cpu(own), f"{way.rss_mib:.0f}"]
        rows[way.name] = cells
    return rows


def _added(own: Facts, direct: Facts | None) -> list[str]:
    if direct is None or own is direct:
        return ["-", "-"]
    return [f"{own[name] - direct[name]:.0f}" for name in ("p50_us", "p99_us")]


def _cpu(facts: Facts) -> str:
    """Of the proxy's processes; and with its store, where it has one."""
    own, whole = facts["cpu_us"], facts["cpu_with_store_us"]
    return f"{own:.0f}" if whole == own else f"{own:.0f}, with the store {whole:.0f}"


def _numbers(facts: Facts, *names: str) -> list[str]:
    return [f"{facts[name]:.0f}" for name in names]


def _ratio(value: float, yardstick: float) -> str:
    return f"{value / yardstick:.1f}" if yardstick > 0 else "-"
