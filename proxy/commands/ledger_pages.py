"""How the ledger looks: tables for people, JSON for machines; and what it adds to the story of one request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from proxy.audit.words import in_words
from proxy.commands.audit_pages import Hindsight
from proxy.commands.terminal_tables import print_table, say
from proxy.ledger.counterfactual import Fees, Horizon, Outcome
from proxy.ledger.supposing import Supposed
from proxy.ledger.valuing import Counterfactual, HorizonSum, RuleSum
from proxy.store.codec import plain, plain_command
from proxy.terminal import show_json
from rules.rule import show

_HORIZONS: Final = {
    Horizon.FIVE_MINUTES: "after 5 min",
    Horizon.HOUR: "after 1 h",
    Horizon.FUNDING: "at the next funding",
}


def print_counterfactual(report: Counterfactual, fees: Fees, *, as_json: bool) -> None:
    """What each rule saved or cost."""
    if as_json:
        show_json(_as_json(report, fees))
        return
    rows = _rows(report.refused)
    if len(rows) > 1:
        rows.append(_row("all", report.total))
    print_table(("refused by", "orders", "refusals", *_HORIZONS.values()), rows)
    would = "reported by; enforced, it would have"
    print_table((would, "orders", "reports", *_HORIZONS.values()), _rows(report.reported))
    if not report.refused and not report.reported:
        say("nothing was refused or reported")
    for reason, count in report.left_out.most_common():
        say(f"left out: {count} {reason}")
    for reason, count in report.unknown.most_common():
        say(f"unknown: {count} times {reason}")
    say(
        f"in quote currency, after an assumed fee of {fees.taker} (taker) or {fees.maker} (maker); nobody knows what"
        " the bot would have done next"
    )


def hindsight(supposed: Sequence[Supposed]) -> Hindsight:
    """What refused orders would have come to, each at each horizon."""
    lines = [
        (_HORIZONS[horizon], f"{in_words(plain_command(each.order))}: {_made(outcome)}")
        for each in supposed
        for horizon, outcome in each.outcomes.items()
    ]
    return Hindsight(lines=lines, body=plain(supposed))


def _rows(sums: Mapping[str, RuleSum]) -> list[tuple[str, ...]]:
    return [_row(rule, found) for rule, found in sorted(sums.items(), key=lambda each: (-each[1].intents, each[0]))]


def _row(name: str, found: RuleSum) -> tuple[str, ...]:
    return name, str(found.intents), str(found.times), *(_cell(found.horizons[horizon]) for horizon in _HORIZONS)


def _cell(found: HorizonSum) -> str:
    others = ((found.not_filled, "not filled"), (found.unknown, "unknown"), (found.not_yet, "not yet"))
    counted = [f"{count} {name}" for count, name in others if count]
    if found.filled:
        counted.insert(0, f"{found.filled} filled")
    return f"{_saved(found.result) if found.filled else '-'} ({', '.join(counted)})"


def _saved(result: Decimal) -> str:
    """What the orders would have lost, the rule has saved."""
    return f"saved {show(-result)}" if result <= 0 else f"cost {show(result)}"


def _made(outcome: Outcome) -> str:
    if outcome.result is None:
        return f"{outcome.state.value}: {outcome.why}" if outcome.why else outcome.state.value
    return f"{'lost' if outcome.result < 0 else 'made'} {show(abs(outcome.result))}"


def _as_json(report: Counterfactual, fees: Fees) -> dict[str, Any]:
    def shown(reasons: Counter[str]) -> dict[str, int]:
        return dict(reasons.most_common())

    return {
        "fees": plain(fees),
        "total": plain(report.total),
        "refused": plain(report.refused),
        "reported": plain(report.reported),
        "left_out": shown(report.left_out),
        "unknown": shown(report.unknown),
    }
