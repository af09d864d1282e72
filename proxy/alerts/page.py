"""The table of alerts as ``docs/alerts.md`` shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proxy.alerts.conditions_table import CONDITIONS
from proxy.alerts.events_table import AUDIT_ONLY, EVENTS
from proxy.alerts.row import Row


def alerts_part() -> str:
    """What is told, worst first; and what only the audit keeps."""
    silent = ", ".join(f"`{name}`" for name in sorted(AUDIT_ONLY))
    parts = (
        "### Conditions, for as long as they last",
        "\n".join(_table(CONDITIONS)),
        "### Events",
        "\n".join(_table(EVENTS)),
        f"Only in the audit: {silent}.",
    )
    return "\n\n".join(parts) + "\n"


def _table(rows: Mapping[str, Row]) -> Iterator[str]:
    yield "| name | severity | what is said | what one can do |"
    yield "|---|---|---|---|"
    for name, row in sorted(rows.items(), key=lambda each: (-each[1].severity.rank, each[0])):
        said = f"**{row.title}**" + (f" {row.text}" if row.text else "")
        yield f"| `{name}` | {row.severity.value} | {said} | {row.advice or '-'} |"
