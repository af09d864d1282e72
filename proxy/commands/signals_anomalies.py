"""``perpguard signals anomalies --orders FILE``: the anomaly scores of a recorded order stream, as it would have been.

The file is CSV with a header, or one JSON object a line; fields are ``account`` and those of an order event
(``proxy.signals.evidence.event``). Events are scored in the order of the file. Exit codes: 0 done, 2 cannot be read.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.commands.exit_codes import OK, USAGE_ERROR
from proxy.signals.evidence.event import TIME_END
from proxy.terminal import complain, say, show_json

if TYPE_CHECKING:
    from proxy.commands.arguments import Arguments
    from proxy.signals.anomaly import AnomalyScorer

REFRACTORY_S: Final = 600.0
"""Alarms of one account within ten minutes are one."""

DAY_S: Final = 86_400.0
ALARMS_SHOWN_MAX: Final = 1_000
REQUIRED: Final = ("account", "ts", "type", "symbol", "side")
NUMBERS: Final = ("ts", "notional", "distance_bps", "round_trip_ms")
WORDS: Final = {"true": True, "1": True, "false": False, "0": False, "": None}


class UnreadableOrders(Exception):
    """The file, or a line of it, is not what this command reads; says where."""


@dataclass(slots=True)
class Scored:
    """What one account's stream came to."""

    scorer: AnomalyScorer
    events: int = 0
    first: float | None = None
    last: float | None = None
    highest: float = -2.0
    alarmed_at: float | None = None
    alarm_count: int = 0
    alarms: list[dict[str, Any]] = field(default_factory=list)


def add_arguments(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``anomalies`` to the sub-commands of ``signals``."""
    parser = actions.add_parser("anomalies", help="score a recorded order stream (CSV or JSON lines)")
    parser.add_argument("--orders", required=True, type=Path, metavar="FILE", help="the recorded stream")
    parser.add_argument("--threshold", type=float, default=0.0, help="score that counts as an alarm (0: once a day)")
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.set_defaults(signals_run=run)


def run(args: Arguments) -> int:
    """Score the file and print what came of it."""
    try:
        found = score_orders(read_orders(args.orders), threshold=args.threshold)
    except UnreadableOrders as trouble:
        complain("signals anomalies", str(trouble))
        return USAGE_ERROR
    if getattr(args, "json", False):
        show_json(found)
    else:
        say(*_lines(found))
    return OK


def read_orders(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a file, each with its ``account``. Raises ``UnreadableOrders`` naming file and line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            found = _read_csv(path, lines) if path.suffix.lower() == ".csv" else _read_json_lines(path, lines)
            yield from found
    except OSError as trouble:
        raise UnreadableOrders(f"{path}: {trouble.strerror or trouble}") from trouble
    except UnicodeDecodeError as trouble:
        raise UnreadableOrders(f"{path}: not UTF-8 text") from trouble


def _read_csv(path: Path, lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    try:
        rows = csv.DictReader(lines, strict=True)
        missing = [name for name in REQUIRED if name not in (rows.fieldnames or ())]
        if missing:
            raise UnreadableOrders(f"{path}:1: no column {', '.join(missing)}")
        for row in rows:
            if None in row or None in row.values():
                raise UnreadableOrders(f"{path}:{rows.line_num}: not as many values as columns")
            yield _event(path, rows.line_num, row)
    except csv.Error as trouble:
        raise UnreadableOrders(f"{path}: {trouble}") from trouble


def _read_json_lines(path: Path, lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as trouble:
            raise UnreadableOrders(f"{path}:{number}: not JSON") from trouble
        if not isinstance(row, dict):
            raise UnreadableOrders(f"{path}:{number}: not an object")
        yield _event(path, number, row)


def _event(path: Path, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """One event out of its fields; an empty number is unknown, a wrong one an error."""
    event: dict[str, Any] = {}
    for name in REQUIRED:
        if row.get(name) in (None, ""):
            raise UnreadableOrders(f"{path}:{number}: no {name}")
        event[name] = row[name] if name == "ts" else str(row[name])
    if event["type"] not in ("new", "amend", "cancel"):
        raise UnreadableOrders(f"{path}:{number}: type is {event['type']!r}, not new, amend or cancel")
    for name in NUMBERS:
        value = row.get(name)
        if value in (None, ""):
            continue
        try:
            event[name] = float(value)
        except (TypeError, ValueError, OverflowError) as trouble:
            raise UnreadableOrders(f"{path}:{number}: {name} is no number") from trouble
    if not 0 <= event["ts"] < TIME_END:
        raise UnreadableOrders(f"{path}:{number}: ts is no time in seconds since 1970")
    rejected = row.get("rejected")
    if rejected is not None and not isinstance(rejected, bool):
        if str(rejected).lower() not in WORDS:
            raise UnreadableOrders(f"{path}:{number}: rejected is neither true nor false")
        rejected = WORDS[str(rejected).lower()]
    event["rejected"] = rejected
    return event


def score_orders(events: Iterator[dict[str, Any]], *, threshold: float) -> dict[str, Any]:
    """Every account's events scored in turn: how many, the highest score, and the alarms with their reasons."""
    from proxy.signals.anomaly import METHOD, AnomalyScorer

    accounts: dict[str, Scored] = {}
    for event in events:
        account = event["account"]
        scored = accounts.get(account)
        if scored is None:
            scored = accounts[account] = Scored(AnomalyScorer(account))
        _count(scored, event, scored.scorer.score(event), threshold)
    return {
        "method": METHOD,
        "threshold": threshold,
        "accounts": {account: _told(scored) for account, scored in accounts.items()},
    }


def _count(scored: Scored, event: Mapping[str, Any], score: float, threshold: float) -> None:
    ts = event["ts"]
    scored.events += 1
    scored.first = ts if scored.first is None else min(scored.first, ts)
    scored.last = ts if scored.last is None else max(scored.last, ts)
    scored.highest = max(scored.highest, score)
    if score < threshold:
        return
    if scored.alarmed_at is not None and 0 <= ts - scored.alarmed_at <= REFRACTORY_S:
        if scored.alarms and score > scored.alarms[-1]["score"] and scored.alarm_count == len(scored.alarms):
            scored.alarms[-1] |= {"score": round(score, 3), "why": scored.scorer.explain()}
        return
    scored.alarmed_at = ts
    scored.alarm_count += 1
    if len(scored.alarms) < ALARMS_SHOWN_MAX:
        scored.alarms.append({"ts": ts, "score": round(score, 3), "why": scored.scorer.explain()})


def _told(scored: Scored) -> dict[str, Any]:
    days = max((scored.last or 0.0) - (scored.first or 0.0), REFRACTORY_S) / DAY_S
    return {
        "events": scored.events,
        "days": round(days, 4),
        "highest": round(scored.highest, 3),
        "alarm_count": scored.alarm_count,
        "alarms_a_day": round(scored.alarm_count / days, 4),
        "alarms": scored.alarms,
    }


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    for account, told in found["accounts"].items():
        yield (
            f"{account}: {told['events']} events in {told['days']:.1f} days, highest score {told['highest']:.2f}, "
            f"{told['alarm_count']} alarms ({told['alarms_a_day']:.2f} a day)"
        )
        for alarm in told["alarms"]:
            yield f"  {alarm['ts']:.0f}  {alarm['score']:5.2f}  {'; '.join(alarm['why'])}"
