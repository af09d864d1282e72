"""What a rehearsal came to, from the journals of its own jobs: the same files a real kill leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from proxy.drill.shelf import AccountDrill
from proxy.kill.jobs import newest_jobs
from proxy.kill.journal import Journal
from proxy.kill.report import account_report
from rules.kill.events import Surveyed


def measured(data_dir: Path) -> tuple[AccountDrill, ...]:
    """The newest job of every account in a data directory."""
    return tuple(_account(each.journal) for each in newest_jobs(data_dir))


def _account(journal: Journal) -> AccountDrill:
    report = account_report(journal.job, journal.events)
    surveys = [event for event in journal.events if isinstance(event, Surveyed)]
    first = surveys[0] if surveys else None
    cost, estimate = report.cost, report.cost_estimate
    return AccountDrill(
        account=report.account,
        phase=report.phase.value,
        positions=len(first.positions) if first is not None else 0,
        orders=first.orders if first is not None else 0,
        blocked_ms=report.blocked_ms,
        cancelled_ms=_since(journal, _cancelled_at(surveys)),
        flat_ms=report.exposed_ms,
        verified_ms=report.verified_ms,
        cost_estimate=f"{estimate.cost:.2f}" if estimate is not None else "",
        estimate_in_book=f"{estimate.in_book:.2f}" if estimate is not None else "",
        cost=f"{cost.slippage + sum(cost.fees.values()):.2f}" if cost is not None else "",
        left=report.left,
        trouble=report.trouble or report.why,
    )


def _cancelled_at(surveys: Sequence[Surveyed]) -> datetime | None:
    """The first of the last unbroken run of readings of the orders that showed none."""
    since: datetime | None = None
    for survey in surveys:
        if survey.complete:
            since = None if survey.orders else since or survey.at
    return since


def _since(journal: Journal, at: datetime | None) -> float | None:
    return round((at - journal.job.started_at).total_seconds() * 1000, 1) if at is not None else None
