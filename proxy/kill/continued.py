"""One account of a press whose account was killed once more, when what was on the wire was over: both jobs as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from proxy.kill.report import AccountReport, KillReport, worst
from rules.kill.cost import Cost, CostEstimate


def updated(first: KillReport, second: KillReport) -> KillReport:
    """The report of a press some of whose accounts were killed once more."""
    return renewed(first, going_on(second, {each.account: each for each in first.accounts}))


def going_on(report: KillReport, continues: Mapping[str, AccountReport]) -> KillReport:
    """A report whose accounts go on with these."""
    return replace(report, accounts=tuple(after(continues.get(each.account), each) for each in report.accounts))


def after(first: AccountReport | None, second: AccountReport) -> AccountReport:
    """One account that goes on with what was done before, if anything was. A job that was taken up is no other."""
    return second if first is None or first.job_id == second.job_id else continued(first, second)


def renewed(first: KillReport, second: KillReport) -> KillReport:
    """The report of a press with what the second says of its accounts, which goes on with the first already."""
    newer = {each.account: each for each in second.accounts}
    accounts = tuple(newer.get(each.account, each) for each in first.accounts)
    return replace(
        first,
        flat=all(each.flat for each in accounts),
        phase=worst(tuple(each.phase for each in accounts)),
        accounts=accounts,
        trouble=first.trouble or second.trouble,
    )


def continued(first: AccountReport, second: AccountReport) -> AccountReport:
    """How the account stands, and under which scope, is the second job's to say, and its name is shown; what was done
    is both jobs', in the name of whoever pressed, and counted from that press."""
    return replace(
        second,
        by=first.by,
        reason=first.reason,
        started_at=first.started_at,
        blocked_ms=first.blocked_ms,
        exposed_ms=_exposed_ms(first, second),
        flat_ms=_since_the_press(first, second, second.flat_ms),
        verified_ms=_since_the_press(first, second, second.verified_ms),
        latched=first.latched or second.latched,
        cancelled=first.cancelled + second.cancelled,
        closed=(*first.closed, *second.closed),
        unlisted=tuple(sorted({*first.unlisted, *second.unlisted})),
        cost_estimate=_both_expected(first.cost_estimate, second.cost_estimate),
        cost=_both(first.cost, second.cost),
        trouble=first.trouble or second.trouble,
        steps=(*first.steps, *second.steps),
    )


def _exposed_ms(first: AccountReport, second: AccountReport) -> float | None:
    """What the second did not have to close, the first had closed already."""
    if second.exposed_ms is not None and first.exposed_ms is not None and not second.closed:
        return first.exposed_ms
    return _since_the_press(first, second, second.exposed_ms)


def _since_the_press(first: AccountReport, second: AccountReport, since_ms: float | None) -> float | None:
    if since_ms is None:
        return None
    return round((second.started_at - first.started_at).total_seconds() * 1000 + since_ms, 1)


def _both_expected(first: CostEstimate | None, second: CostEstimate | None) -> CostEstimate | None:
    if first is None or second is None:
        return first or second
    notional = first.notional + second.notional
    in_book = first.notional * first.in_book + second.notional * second.in_book
    return CostEstimate(
        notional=notional,
        cost=first.cost + second.cost,
        in_book=in_book / notional if notional else min(first.in_book, second.in_book),
        legs=(*first.legs, *second.legs),
    )


def _both(first: Cost | None, second: Cost | None) -> Cost | None:
    if first is None or second is None:
        return first or second
    return Cost(
        notional=first.notional + second.notional,
        slippage=first.slippage + second.slippage,
        fees={
            asset: first.fees.get(asset, Decimal(0)) + second.fees.get(asset, Decimal(0))
            for asset in {*first.fees, *second.fees}
        },
        fees_known=first.fees_known and second.fees_known,
        unpriced=first.unpriced + second.unpriced,
    )
