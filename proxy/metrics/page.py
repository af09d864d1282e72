"""The tables of docs/metrics.md, as the name set and the counting gate have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from proxy.gate.counting import BOUNDS_S, Kind, Stage, TurnedAway
from proxy.metrics.names import SECTIONS, Metric

LABELS: Final[Mapping[str, str]] = {
    "gate": "host and place of a gate, such as `trader-1/gate-0`; a gate that is started again keeps it",
    "kind": "of a request or command: " + ", ".join(kind.name.lower() for kind in Kind)
    + "; of resting orders: plain, conditional",
    "stage": ", ".join(stage.name.lower() for stage in Stage)
    + "; what the exchange answered is settled behind the answer, outside the total",
    "verdict": "allow, deny, withhold (allowed by the rules, and yet not sent), would_deny (shadow mode)",
    "rule": "id of the rule, empty for allow",
    "code": "a code of [codes.md](codes.md), empty for allow",
    "account": "name of an exchange account in the vault",
    "bot": "name of a bot with a guard key; of kills, also of one whose key is gone",
    "result": "accepted, rejected, unknown, not_sent",
    "reason": ", ".join(each.name.lower() for each in TurnedAway),
    "level": "desk, account or bot",
    "name": "which desk, account or bot; of the policy, its name",
    "state": "of holds: PENDING, ACCEPTED, UNKNOWN, or as another version wrote it; of overrides: REQUESTED, GRANTED",
    "watchdog": "name of a watchdog, empty for one that never called",
    "venue": "name of a venue",
    "symbol": "symbol of an open position, or one that the signals follow; empty for the account's as a whole",
    "position_side": "BOTH, LONG, SHORT",
    "forecast": "name of a forecast",
    "horizon_s": "how far it looks ahead, in seconds",
    "limit": "weight-1m, orders-10s, orders-1m",
    "whose": "the account, or the source address (empty: the host's usual one)",
    "owner": "who answers for the policy",
    "version": "of the policy: its digest; of the build: the release",
    "python": "version of Python",
    "process": "warden, or a gate as in the label gate",
    "source": "part of the warden that was asked",
}  # fmt: skip
"""What the values of each label are. All are bounded: by the vault, the policy, the catalog or this file."""


def metrics_part() -> str:
    """The generated part of the page."""
    parts = [f"### {title}\n\n{_table(metrics)}" for title, metrics in SECTIONS.items()]
    labels = "\n".join(f"| `{name}` | {text} |" for name, text in LABELS.items())
    bounds = ", ".join(f"{bound:g}" for bound in BOUNDS_S)
    return (
        "\n".join(parts)
        + f"\n### Labels\n\n| label | values |\n|---|---|\n{labels}\n"
        + f"\nThe histogram's buckets end at {bounds} seconds.\n"
    )


def _table(metrics: Iterable[Metric]) -> str:
    rows = "\n".join(
        f"| `{each.full_name}` | {each.type.value} | {', '.join(f'`{label}`' for label in each.labels) or '-'} "
        f"| {each.unit} | {each.help} |"
        for each in metrics
    )
    return f"| name | type | labels | unit | meaning |\n|---|---|---|---|---|\n{rows}\n"
