"""Writes the generated parts of rules.md and codes.md anew: ``make docs``. A test compares them with the code."""

from __future__ import annotations

from pathlib import Path

from proxy.rule_pages import codes_part, rules_part

DOCS = Path(__file__).parent
BEGIN, END = "<!-- generated: make docs -->\n", "<!-- end of the generated part -->\n"


def spliced(page: str, part: str) -> str:
    """``page`` with ``part`` between the two marks."""
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError("a page has lost its marks")
    return before + found + "\n" + part + "\n" + ended + after


def main() -> None:
    """Write both pages."""
    for name, part in (("rules.md", rules_part()), ("codes.md", codes_part())):
        path = DOCS / name
        path.write_text(spliced(path.read_text(encoding="utf-8"), part), encoding="utf-8")


if __name__ == "__main__":
    main()
