"""What the gates told: their counts since their start, and who of them is there."""

from __future__ import annotations

from proxy.metrics.from_process import put_process
from proxy.metrics.sheet import Sheet
from proxy.store.gate_report import GateReport
from proxy.store.health import StoreHealth


def put_gates(sheet: Sheet, health: StoreHealth) -> None:
    """Everything that is told by gate, and how many gates there are."""
    alive = [word for word in health.gates.values() if word.holds_lease]
    sheet.put("gates_alive", len(alive))
    sheet.put("gates_behind", sum(word.generation < health.generation for word in alive))
    for place, report in health.reports.items():
        if report is not None and report.gate in health.gates:
            sheet.put("gate_up", health.gates[report.gate].holds_lease, gate=place)
            _put_report(sheet, place, report)


def _put_report(sheet: Sheet, place: str, report: GateReport) -> None:
    for times in report.stages:
        sheet.put_histogram(
            "request_stage_seconds",
            report.bounds_s,
            times.buckets,
            times.sum_s,
            gate=place,
            kind=times.kind,
            stage=times.stage,
        )
    for each in report.decisions:
        verdict, rule, code = each.labels
        sheet.put("decisions_total", each.count, gate=place, verdict=verdict, rule=rule, code=code)
    for each in report.orders:
        account, bot, kind, result = each.labels
        sheet.put("orders_total", each.count, gate=place, account=account, bot=bot, kind=kind, result=result)
    for each in report.refused:
        (reason,) = each.labels
        sheet.put("requests_refused_total", each.count, gate=place, reason=reason)
    sheet.put("gate_sockets", report.sockets, gate=place)
    sheet.put("gate_requests_under_way", report.under_way, gate=place)
    put_process(sheet, place, report.process)
