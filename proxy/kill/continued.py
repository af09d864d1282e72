"""One account of a press that was killed once more, when what was on the wire was over: all its jobs as one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from proxy.kill.jobs import jobs_in, widened
from proxy.kill.journal import Journal
from proxy.kill.report import AccountReport, KillReport, account_report, worst
from rules.kill.cost import Cost, CostEstimate, LegEstimate, together


def of_its_press(journal: Journal, *, joined: bool = False, trouble: str = "") -> AccountReport:
    """The report of a job under the widest scope that it was pressed for, together with those of the same press that
    it goes on with. Whoever runs a job, takes it up or only looks at it gets the same account of that press."""
    report, continues = _reported(journal, joined=joined, trouble=trouble), journal.job.continues
    if continues is None:
        return report
    for earlier in jobs_in(journal.path.parent):
        if earlier.job.job_id == continues:
            report, continues = _as_one(_reported(earlier), report), earlier.job.continues
        if continues is None:
            break
    return report


def _reported(journal: Journal, *, joined: bool = False, trouble: str = "") -> AccountReport:
    report = account_report(journal.job, journal.events, joined=joined, trouble=trouble or journal.trouble)
    return widened(report, journal.path)


def going_on(first: AccountReport | None, second: AccountReport) -> AccountReport:
    """One account that goes on with what was done before, if anything was. What began with the same press tells of
    that already; a job of another press, which was joined, does not."""
    return second if first is None or first.started_at == second.started_at else _as_one(first, second)


def renewed(first: KillReport, second: KillReport) -> KillReport:
    """The report of a press some of whose accounts were killed once more: those are the second's, which go on with
    the first's already."""
    newer = {each.account: each for each in second.accounts}
    accounts = tuple(newer.get(each.account, each) for each in first.accounts)
    return replace(
        first,
        flat=all(each.flat for each in accounts),
        phase=worst(tuple(each.phase for each in accounts)),
        accounts=accounts,
        trouble=first.trouble or second.trouble,
    )


def _as_one(first: AccountReport, second: AccountReport) -> AccountReport:
    """Two jobs of one account. How it stands, and under which scope, is the second job's to say, and its name is shown;
    what was done is both jobs', in the name of whoever pressed, and counted from that press."""
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
        cost_estimate=_both_expected(first, second.cost_estimate),
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


def _both_expected(first: AccountReport, second: CostEstimate | None) -> CostEstimate | None:
    """What the first left open is expected already: of the second only what has come since adds to it."""
    if first.cost_estimate is None or second is None:
        return first.cost_estimate or second
    come = (_come_since(first, first.cost_estimate, leg) for leg in second.legs)
    return together((*first.cost_estimate.legs, *(leg for leg in come if leg.quantity)))


def _come_since(first: AccountReport, expected: CostEstimate, leg: LegEstimate) -> LegEstimate:
    """What a leg has grown by since the first kill, costs in proportion."""
    closed = sum(abs(each.quantity) for each in first.closed if f"{each.symbol}/{each.position_side}" == leg.leg)
    left = sum(each.quantity for each in expected.legs if each.leg == leg.leg) - closed
    if left <= 0 or not leg.quantity:
        return leg
    part = max(Decimal(0), leg.quantity - left) / leg.quantity
    return replace(
        leg,
        quantity=leg.quantity * part,
        notional=None if leg.notional is None else leg.notional * part,
        in_book=None if leg.in_book is None else leg.in_book * part,
        cost=None if leg.cost is None else leg.cost * part,
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
