"""Writes the dashboards: ``python -m configs.grafana.generate``. A panel is a line here; a test keeps them equal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

DASHBOARDS: Final = Path(__file__).with_name("dashboards")
_SOURCE: Final = {"type": "prometheus", "uid": "perpguard-prometheus"}
_WIDTH: Final = 24

Panel = dict[str, Any]
Words = Mapping[int, tuple[str, str]]

STATES: Final[Words] = {0: ("ACTIVE", "green"), 1: ("REDUCING", "orange"), 2: ("HALTED", "red")}
NO_WORDS: Final[Words] = MappingProxyType({})
UP: Final[Words] = {0: ("down", "red"), 1: ("up", "green")}
ALARM: Final[Words] = {0: ("no", "green"), 1: ("YES", "red")}

_STAGES: Final = "perpguard_request_stage_seconds"


def graph(title: str, legend: str, expression: str, *, unit: str = "short", w: int = 8) -> Panel:
    """Lines over time."""
    panel = _panel("timeseries", title, legend, expression, unit, w, 7)
    panel["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return panel


def number(
    title: str, legend: str, expression: str, *, unit: str = "short", w: int = 4, words: Words = NO_WORDS
) -> Panel:
    """The value of now, large; in ``words`` where it stands for some."""
    panel = _panel("stat", title, legend, expression, unit, w, 5)
    panel["options"] = {
        "reduceOptions": {"calcs": ["lastNotNull"]},
        "colorMode": "background" if words else "value",
        "textMode": "value_and_name",
    }
    options = {str(value): {"text": text, "color": color} for value, (text, color) in words.items()}
    if options:
        panel["fieldConfig"]["defaults"]["mappings"] = [{"type": "value", "options": options}]
    return panel


def _panel(kind: str, title: str, legend: str, expression: str, unit: str, w: int, h: int) -> Panel:
    return {
        "title": title,
        "type": kind,
        "datasource": _SOURCE,
        "targets": [{"refId": "A", "datasource": _SOURCE, "expr": expression, "legendFormat": legend}],
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "gridPos": {"w": w, "h": h},
    }


def desk() -> dict[str, Any]:
    """Is the desk safe: one glance."""
    return _dashboard("perpguard-desk", "perpguard: is the desk safe", {
        "State": [
            number("What may be traded", "{{level}} {{name}}", "perpguard_trading_state", w=12, words=STATES),
            number("Kill under way", "{{account}}", "perpguard_kill_running", words=ALARM),
            number("Store", "store", "perpguard_store_up", words=UP),
            number("Private streams", "{{account}}", "perpguard_feed_up", words=UP),
            number("Press to blocked", "{{account}}", "perpguard_last_kill_blocked_seconds", unit="s"),
            number("Press to flat", "{{account}}", "perpguard_last_kill_flat_seconds", unit="s"),
            number("Last drill", "age", "perpguard_drill_age_seconds", unit="s"),
            number("Watchdogs heard", "{{watchdog}}", "perpguard_watchdog_heard_age_seconds", unit="s"),
            number("Gates alive", "gates", "perpguard_gates_alive"),
            number("Latch generation", "generation", "perpguard_latch_generation"),
        ],
        "Exposure": [
            graph("Leverage, worst case", "{{account}}", "perpguard_leverage"),
            graph("Positions at mark price", "{{account}} {{symbol}} {{position_side}}", "perpguard_position_notional"),
            graph("Margin balance", "{{account}}", "perpguard_margin_balance"),
            graph("Holds", "{{account}} {{state}}", "perpguard_holds"),
            graph("Resting orders", "{{account}} {{kind}}", "perpguard_open_orders"),
            graph("Leases: time left", "{{account}} {{bot}}", "perpguard_lease_left_seconds", unit="s"),
        ],
        "How fresh the facts are": [
            graph("Since the last survey", "{{account}}", "perpguard_survey_age_seconds", unit="s", w=6),
            graph("Since the stream was heard", "{{account}}", "perpguard_feed_age_seconds", unit="s", w=6),
            graph("Oldest price", "prices", "perpguard_markets_age_seconds", unit="s", w=6),
            graph("Venue's clock less ours", "{{venue}}", "perpguard_clock_offset_seconds", unit="s", w=6),
        ],
        "Signals": [
            graph("Anomaly", "{{level}} {{name}}", "perpguard_anomaly_score", unit="percentunit"),
            graph("Forecasts that have held", "{{account}} {{forecast}} {{symbol}} {{horizon_s}}",
                  "perpguard_forecast_probability", unit="percentunit"),
            graph("Crowding of leverage", "{{symbol}}", "perpguard_leverage_temperature"),
        ],
    })  # fmt: skip


def order_path() -> dict[str, Any]:
    """What bots ask, what they are told, and how long it takes."""
    refused = 'perpguard_decisions_total{verdict=~"deny|withhold"}'
    shadow = 'perpguard_decisions_total{verdict="would_deny"}'
    entry, total = f'{_STAGES}_bucket{{kind="entry"}}', f'{_STAGES}_bucket{{stage="total"}}'
    mean = f"{_sum('stage', f'{_STAGES}_sum', '5m')} / {_sum('stage', f'{_STAGES}_count', '5m')}"
    return _dashboard("perpguard-order-path", "perpguard: order path", {
        "A minute": [
            graph("Decisions", "{{verdict}}", _a_minute("verdict", "perpguard_decisions_total")),
            graph("Refused, by rule", "{{rule}} {{code}}", _a_minute("rule, code", refused)),
            graph("Would be refused (shadow mode)", "{{rule}} {{code}}", _a_minute("rule, code", shadow)),
            graph("Sent, by outcome", "{{kind}} {{result}}", _a_minute("kind, result", "perpguard_orders_total")),
            graph("Sent, by bot", "{{account}} {{bot}}", _a_minute("account, bot", "perpguard_orders_total")),
            graph("Turned away", "{{reason}}", _a_minute("reason", "perpguard_requests_refused_total")),
        ],
        "Latency": [
            graph("Entry, median of each stage", "{{stage}}", _quantile(0.5, "stage", entry), unit="s", w=12),
            graph("Entry, one in a hundred", "{{stage}}", _quantile(0.99, "stage", entry), unit="s", w=12),
            graph("Whole request, one in a hundred", "{{kind}}", _quantile(0.99, "kind", total), unit="s", w=12),
            graph("Mean of each stage", "{{stage}}", mean, unit="s", w=12),
        ],
        "Venue budget": [
            graph("Used of the limit", "{{venue}} {{limit}} {{whose}}",
                  "perpguard_venue_budget_used / perpguard_venue_budget_limit", unit="percentunit", w=12),
            graph("Kept for the kill", "{{venue}} {{limit}} {{whose}}",
                  "perpguard_venue_budget_reserve / perpguard_venue_budget_limit", unit="percentunit", w=12),
        ],
        "Store and audit": [
            graph("Answer of the store", "store", "perpguard_store_answer_seconds", unit="s", w=6),
            graph("Memory of the store", "used", "perpguard_store_memory_bytes", unit="bytes", w=6),
            graph("Records not archived yet", "records", "perpguard_audit_stream_records", w=6),
            graph("Archive behind", "lag", "perpguard_audit_lag_seconds", unit="s", w=6),
        ],
        "Processes": [
            graph("Processor", "{{process}}", "rate(perpguard_process_cpu_seconds_total[1m])", unit="percentunit", w=6),
            graph("Memory", "{{process}}", "perpguard_process_resident_memory_bytes", unit="bytes", w=6),
            graph("Open files", "{{process}}", "perpguard_process_open_fds", w=6),
            graph("WebSockets of bots", "{{gate}}", "perpguard_gate_sockets", w=6),
        ],
    })  # fmt: skip


def _sum(by: str, selector: str, span: str) -> str:
    return f"sum by ({by}) (rate({selector}[{span}]))"


def _a_minute(by: str, selector: str) -> str:
    return f"{_sum(by, selector, '5m')} * 60"


def _quantile(share: float, by: str, buckets: str) -> str:
    return f"histogram_quantile({share}, {_sum(f'le, {by}', buckets, '5m')})"


def _dashboard(uid: str, title: str, rows: Mapping[str, Sequence[Panel]]) -> dict[str, Any]:
    placed: list[Panel] = []
    y = 0
    for name, panels in rows.items():
        heading = {"type": "row", "title": name, "collapsed": False, "panels": []}
        placed.append(heading | {"gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1}})
        x, y, height = 0, y + 1, 0
        for panel in panels:
            size = panel["gridPos"]
            if x + size["w"] > _WIDTH:
                x, y, height = 0, y + height, 0
            placed.append(panel | {"gridPos": {"x": x, "y": y, **size}})
            x, height = x + size["w"], max(height, size["h"])
        y += height
    return {
        "uid": uid,
        "title": title,
        "tags": ["perpguard"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "5s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "panels": [{"id": number, **panel} for number, panel in enumerate(placed, 1)],
    }


def written() -> dict[str, str]:
    """The files, by name."""
    made = {"desk.json": desk(), "order-path.json": order_path()}
    return {name: json.dumps(dashboard, indent=1) + "\n" for name, dashboard in made.items()}


def main() -> None:
    """Write them."""
    for name, text in written().items():
        (DASHBOARDS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
