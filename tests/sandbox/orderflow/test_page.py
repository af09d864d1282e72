"""What `docs/order-flow.md` lists is what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from sandbox.orderflow.accounts import STYLES
from sandbox.orderflow.command import _parser
from sandbox.orderflow.incidents.strange import Incident, Kind
from sandbox.orderflow.recording import COLUMNS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "order-flow.md").read_text(encoding="utf-8")


def rows(title: str) -> list[str]:
    """The first cell of every row of the table under a heading."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| ([^|-][^|]*?) +\|", section, re.MULTILINE)[1:]


def test_every_style_has_its_row() -> None:
    assert [name.replace(" ", "-") for name in rows("The accounts")] == list(STYLES)


def test_every_incident_has_its_row() -> None:
    assert rows("The incidents") == list(get_args(Kind))


def test_every_option_is_explained() -> None:
    options = {name for action in _parser()._actions for name in action.option_strings} - {"-h", "--help"}
    assert {name for name in options if f"| `{name}` |" not in PAGE} == set()


def test_every_field_is_named() -> None:
    assert {name for name in (*COLUMNS, *Incident.__dataclass_fields__) if f"`{name}`" not in PAGE} == set()
