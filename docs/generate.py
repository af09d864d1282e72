"""Writes the generated parts of the pages anew: ``make docs``. A test compares them with the code."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from docs.control_api import control_api_part
from proxy.alerts.page import alerts_part
from proxy.metrics.page import metrics_part
from proxy.reference.rule_pages import codes_part, rules_part

DOCS = Path(__file__).parent
PARTS: Final = {
    "rules.md": rules_part,
    "codes.md": codes_part,
    "control-api.md": control_api_part,
    "alerts.md": alerts_part,
    "metrics.md": metrics_part,
}
BEGIN, END = "<!-- generated: make docs -->\n", "<!-- end of the generated part -->\n"


def spliced(page: str, part: str) -> str:
    """``page`` with ``part`` between the two marks."""
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError("a page has lost its marks")
    return before + found + "\n" + part + "\n" + ended + after


def main() -> None:
    """Write all pages."""
    for name, part in PARTS.items():
        path = DOCS / name
        path.write_text(spliced(path.read_text(encoding="utf-8"), part()), encoding="utf-8")


if __name__ == "__main__":
    main()
