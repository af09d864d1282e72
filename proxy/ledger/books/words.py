"""What the books say, in words: verdicts, gaps, amounts. The same on the command line and at the control door."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from proxy.ledger.books.coverage import Coverage, Missing
from proxy.ledger.books.reconciling import Reconciliation, Standing
from proxy.ledger.books.rows import moment
from proxy.ledger.books.sums import Amounts

GAPS_SHOWN: Final = 10
DIFFERENCES_SHOWN: Final = 50


def verdict(found: Reconciliation) -> str:
    """What the comparison came to, in one sentence."""
    span = f"{minute(found.since)} to {minute(found.until)} UTC"
    match found.standing:
        case Standing.RECONCILED:
            return f"{found.account}: reconciled to the last digit for {span}, {found.compared} trades and fundings"
        case Standing.DIFFERS:
            return f"{found.account}: {found.differing} amounts differ from the venue's statement for {span}"
        case Standing.INCOMPLETE:
            pending = f", {found.pending} trades or fundings are not in both yet" if found.pending else ""
            return f"{found.account}: nothing read differs for {span}, and not everything has been read{pending}"


def coverage_lines(coverage: Coverage) -> list[str]:
    """How far the ledger is complete."""
    whole = f"complete from {minute(moment(coverage.since_ms))} to {minute(moment(coverage.until_ms))} UTC"
    lines = [f"{coverage.account}: {whole}{', but for' if coverage.missing else ''}"]
    lines += [f"  {line}" for line in gap_lines(coverage.missing)]
    if coverage.nameless:
        lines.append(f"  {coverage.nameless} orders with fills, and nobody knows yet who sent them")
    return lines


def gap_lines(missing: Sequence[Missing]) -> list[str]:
    """What has not been read."""
    lines = []
    for each in missing[:GAPS_SHOWN]:
        of = f"fills of {each.symbol}" if each.symbol else "the statement"
        lines.append(f"{of} from {minute(moment(each.span.begin))} to {minute(moment(each.span.end))}")
    if len(missing) > GAPS_SHOWN:
        lines.append(f"and {len(missing) - GAPS_SHOWN} more")
    return lines


def in_words(amounts: Amounts) -> str:
    """Each asset's sum by itself."""
    return ", ".join(f"{format(amount, 'f')} {asset}" for asset, amount in sorted(amounts.items())) or "0"


def minute(at: datetime) -> str:
    """A moment to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%S")


def plain_amounts(amounts: Amounts) -> dict[str, str]:
    """Sums as strings, without an exponent."""
    return {asset: format(amount, "f") for asset, amount in sorted(amounts.items())}
