"""How well the anomaly score finds what goes wrong, and how often it cries in quiet: ``python -m bench.anomalies``.

The accounts of `sandbox.orderflow`, twelve for each seed: 20 days to learn, 9 days to be measured, once with nothing
wrong at all and once with incidents, of which up to three lie in the days of learning. The detector is asked event by
event, in order of time, with the threshold that its scale promises; `bench/anomaly_run.py` says what counts as what.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

from bench.anomaly_run import REFRACTORY_S, Outcome, Run, Scorer, runs
from bench.failure import BenchFailed
from bench.machine import machine
from sandbox.orderflow.incidents.strange import KINDS, Kind
from sandbox.orderflow.simulation import Simulation

SEEDS: Final = 3
_HEAD: Final = "| incident | number | found | mild ones | others | by chance | median s | median orders | p90 orders |"


@dataclass(frozen=True, slots=True)
class Measured:
    """All accounts of one seed, with nothing wrong and with incidents, in the same order."""

    clean: tuple[Run, ...]
    struck: tuple[Run, ...]


def main(arguments: Sequence[str] | None = None, make: Callable[[str], Scorer] | None = None) -> int:
    """Measure and print; 1 when a score was no number. `make`: another detector than the guard's own."""
    parser = argparse.ArgumentParser(prog="bench.anomalies", description="Incidents found, and false alarms a day.")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many (default {SEEDS})")
    parser.add_argument(
        "--first-seed", type=int, default=1, help="the seeds are this one and the following (default 1)"
    )
    parser.add_argument("--json", action="store_true", help="print figures instead of tables")
    args = parser.parse_args(arguments)
    if args.seeds < 1:
        parser.error("--seeds must be at least 1")
    if make is None:
        from proxy.signals.anomaly import AnomalyScorer

        make = AnomalyScorer
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    try:
        measured = [measure(Simulation(seed), make) for seed in seeds]
    except BenchFailed as failure:
        print(f"bench.anomalies: {failure}", file=sys.stderr)
        return 1
    figures = summary(measured)
    print(json.dumps(figures, indent=2) if args.json else report(figures, seeds))
    return 0


def measure(simulation: Simulation, make: Callable[[str], Scorer]) -> Measured:
    """Every account of the simulation through a detector of its own. Errors: `BenchFailed`."""
    pairs = [
        runs(make, clean, struck, simulation.test_from, simulation.end)
        for clean, struck in zip(simulation.without_incidents(), simulation.with_incidents(), strict=True)
    ]
    return Measured(tuple(clean for clean, _ in pairs), tuple(struck for _, struck in pairs))


def summary(measured: Sequence[Measured]) -> dict[str, Any]:
    """The figures, as plain values."""
    clean = [run for seed in measured for run in seed.clean]
    struck = [run for seed in measured for run in seed.struck]
    outcomes = [outcome for run in struck for outcome in run.outcomes]
    alone = [outcome for outcome in outcomes if outcome.incident.kind != "together"]
    scored = [*clean, *struck]
    return {
        "false_alarms_per_day": {
            "nothing wrong": _rate(clean),
            "incidents in the test only": _rate([run for run in struck if not run.learning_incidents]),
            "also 1 to 3 while it learned": _rate([run for run in struck if run.learning_incidents]),
            **{
                f"nothing wrong, {style}": _rate([run for run in clean if run.account.rpartition("-")[0] == style])
                for style in dict.fromkeys(run.account.rpartition("-")[0] for run in clean)
            },
        },
        "incidents": {
            **{kind: _hits([each for each in alone if each.incident.kind == kind]) for kind in KINDS},
            "all": _hits(alone),
        },
        "together": _together(measured),
        "events": sum(run.events for run in scored),
        "micros_per_event": 1e6 * sum(run.seconds for run in scored) / max(1, sum(run.events for run in scored)),
        "alarms_without_reason": sum(run.unexplained for run in scored),
    }


def report(figures: dict[str, Any], seeds: range) -> str:
    """Markdown tables of the figures, the machine and the date."""
    lines = ["| false alarms a day | accounts | mean | median | worst account |", "|---|---|---|---|---|"]
    for name, row in figures["false_alarms_per_day"].items():
        lines.append(f"| {name} | {row['accounts']} | {row['mean']:.2f} | {row['median']:.2f} | {row['max']:.2f} |")
    lines += ["", _HEAD, "|---|---|---|---|---|---|---|---|---|"]
    for name, row in figures["incidents"].items():
        shares = " | ".join(_percent(row[part]) for part in ("hit", "hit_mild", "hit_others", "by_chance"))
        delays = " | ".join(_plain(row[part]) for part in ("delay_s", "delay_orders", "delay_orders_p90"))
        lines.append(f"| {name} | {row['number']} | {shares} | {delays} |")
    common = figures["together"]
    lines += [
        "",
        f"Several accounts at once: {common['accounts_alarmed']} of {common['accounts']} accounts raised an alarm;"
        f" two or more did at {common['moments_found']} of {common['moments']} moments. With nothing wrong, two"
        f" accounts raise one within {REFRACTORY_S / 60:.0f} minutes {common['coincidences_per_day']:.1f} times a day.",
        "",
        f"Seeds {seeds[0]} to {seeds[-1]}; {figures['events']} events,"
        f" {figures['micros_per_event']:.1f} µs of CPU each;"
        f" alarms without a reason: {figures['alarms_without_reason']}; {machine()};"
        f" {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    ]
    return "\n".join(lines)


def _rate(found: Sequence[Run]) -> dict[str, Any]:
    """False alarms a day: the mean over all days, the median and the worst account."""
    days = sum(run.clean_days for run in found)
    each = [len(run.false_alarms) / run.clean_days for run in found]
    return {
        "accounts": len(found),
        "mean": sum(len(run.false_alarms) for run in found) / days if days else 0.0,
        "median": statistics.median(each) if each else 0.0,
        "max": max(each, default=0.0),
    }


def _hits(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    hits = [each for each in outcomes if each.hit]
    orders = sorted(each.delay_orders for each in hits if each.delay_orders is not None)
    return {
        "number": len(outcomes),
        "hit": _share(outcomes),
        "hit_mild": _share([each for each in outcomes if each.incident.mild]),
        "hit_others": _share([each for each in outcomes if not each.incident.mild]),
        "by_chance": sum(each.by_chance for each in outcomes) / len(outcomes) if outcomes else None,
        "delay_s": statistics.median(each.delay_s or 0.0 for each in hits) if hits else None,
        "delay_orders": statistics.median(orders) if orders else None,
        "delay_orders_p90": orders[max(0, -(-len(orders) * 9 // 10) - 1)] if orders else None,
    }


def _share(outcomes: Sequence[Outcome]) -> float | None:
    return sum(each.hit for each in outcomes) / len(outcomes) if outcomes else None


def _together(measured: Sequence[Measured]) -> dict[str, Any]:
    """What single scores see of several accounts turning strange at once, and how often chance looks like it."""
    kind: Kind = "together"
    accounts = alarmed = moments = found = coincidences = 0
    days = 0.0
    for seed in measured:
        parts = sorted(
            (each for run in seed.struck for each in run.outcomes if each.incident.kind == kind),
            key=lambda each: each.incident.start,
        )
        for moment in _moments(parts):
            moments += 1
            accounts += len(moment)
            alarmed += sum(each.hit for each in moment)
            found += sum(each.hit for each in moment) >= 2
        raised = sorted((ts, run.account) for run in seed.clean for ts in run.false_alarms)
        coincidences += sum(
            later[0] - earlier[0] <= REFRACTORY_S and later[1] != earlier[1] for earlier, later in pairwise(raised)
        )
        days += max((run.clean_days for run in seed.clean), default=0.0)
    return {
        "moments": moments,
        "moments_found": found,
        "accounts": accounts,
        "accounts_alarmed": alarmed,
        "coincidences_per_day": coincidences / days if days else 0.0,
    }


def _moments(parts: Sequence[Outcome]) -> list[list[Outcome]]:
    """The parts of one common incident overlap; those of two lie hours apart."""
    moments: list[list[Outcome]] = []
    for each in parts:
        if moments and each.incident.start <= moments[-1][0].incident.end:
            moments[-1].append(each)
        else:
            moments.append([each])
    return moments


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
