"""On which line a key stands, for every way TOML has to write one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.policy.places import Place, line_of_lines

TEXT = """\
# [desk.no]
[policy] # [desk.no]
name = "a # [b]"
owner = 'x \\'

[ bot . "my.bot" . rule ]
a.b.c = 1
list = [ 1, # one ]
  "two]",
  { x = 1, "y z" = [1,
    2] },
]
words = \"\"\"
[desk.no]
x = 1 \\\"\"\" \"\"\"\"\"
raw = '''
y = ''2
'''
moment = 2026-12-31 09:00:00Z
[[desk.calendar.windows]]
from = 1
[desk.calendar.windows.deep]
q = 1
[[desk.calendar.windows]]
from = 2
"esc\\u0061ped" = 3
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("policy",), 2),
        (("policy", "name"), 3),
        (("policy", "owner"), 4),
        (("bot", "my.bot", "rule"), 6),
        (("bot",), 6),
        (("bot", "my.bot", "rule", "a", "b", "c"), 7),
        (("bot", "my.bot", "rule", "list"), 8),
        (("bot", "my.bot", "rule", "list", 0), 8),
        (("bot", "my.bot", "rule", "list", 1), 9),
        (("bot", "my.bot", "rule", "list", 2, "x"), 10),
        (("bot", "my.bot", "rule", "list", 2, "y z", 1), 11),
        (("bot", "my.bot", "rule", "words"), 13),
        (("bot", "my.bot", "rule", "raw"), 16),
        (("bot", "my.bot", "rule", "moment"), 19),
        (("desk", "calendar", "windows"), 20),
        (("desk", "calendar", "windows", 0, "from"), 21),
        (("desk", "calendar", "windows", 0, "deep", "q"), 23),
        (("desk", "calendar", "windows", 1), 24),
        (("desk", "calendar", "windows", 1, "from"), 25),
        (("desk", "calendar", "windows", 1, "escaped"), 26),
        (("policy", "nothing"), 2),
        (("desk", "calendar", "windows", 1, "nothing", "at", "all"), 24),
        (("nothing",), 1),
        (("desk", "no"), 20),
        ((), 1),
    ],
)
def test_a_key_stands_where_it_was_written(place: Place, line: int) -> None:
    tomllib.loads(TEXT)
    assert line_of_lines(TEXT)(place) == line
    assert line_of_lines(TEXT.replace("\n", "\r\n"))(place) == line


def leaves(value: Any, place: Place = ()) -> Iterator[Place]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*place, key))
    else:
        yield place


@pytest.mark.parametrize("path", sorted(Path("configs").rglob("*.toml")), ids=str)
def test_every_setting_we_ship_is_found(path: Path) -> None:
    text = path.read_text()
    line_of = line_of_lines(text)
    for place in leaves(tomllib.loads(text)):
        assert str(place[-1]) in text.splitlines()[line_of(place) - 1]


@pytest.mark.parametrize(
    "text", ["", "\n", "# only words", "a = 1", "a = [[1, [2]], []]\nb = {}", 'a = ""', f"a = {6 * chr(39)}\nb = 1"]
)
def test_small_texts_end(text: str) -> None:
    tomllib.loads(text)
    assert line_of_lines(text)(("b",)) <= 2
