"""Rules of the house that no linter knows. What the documents list is compared with the code in ``test_docs.py``."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.policy.reading import load_policy

ROOT = Path(__file__).parent.parent
CODE = sorted(path for folder in ("rules", "proxy", "sandbox") for path in (ROOT / folder).rglob("*.py"))
WRITTEN = sorted(
    path
    for pattern in ("rules/**/*", "proxy/**/*", "sandbox/**/*", "tests/**/*", "configs/**/*", "docs/**/*", "bench/**/*")
    for path in ROOT.glob(pattern)
    if path.suffix in {".py", ".md", ".toml", ".lua", ".html", ".css", ".js", ".yml", ".sh"}
    and path != ROOT / "tests" / "test_docs.py"  # It names the words it looks for.
)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", [path for path in CODE if named(path).startswith("rules/")], ids=named)
def test_rules_need_the_standard_library_and_themselves(path):
    assert set(imported(ast.parse(path.read_text()))) <= sys.stdlib_module_names | {"rules"}


IMPURE = {"asyncio", "logging", "os", "random", "secrets", "socket", "subprocess", "threading", "time", "uuid"}


@pytest.mark.parametrize("path", [path for path in CODE if named(path).startswith("rules/")], ids=named)
def test_rules_touch_nothing(path):
    tree = ast.parse(path.read_text())
    assert not set(imported(tree)) & IMPURE
    called = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & {"now", "utcnow", "today", "open", "read_text", "write_text"}


def public_definitions(tree: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Public classes and functions of a module, and the public methods of its public classes."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if any(isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list):
            continue  # The definition behind it says what it is.
        yield node
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_"):
                    yield inner


@pytest.mark.parametrize("path", [path for path in CODE if not named(path).startswith("sandbox/")], ids=named)
def test_every_public_name_says_what_it_is(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module"
    assert [node.name for node in public_definitions(tree) if ast.get_docstring(node) is None] == []


LEARNING = re.compile(
    r"\bmsgspec\.(?:convert\(|json\.Decoder\(|json\.decode\([^()]*\btype=|msgpack|toml|yaml)"
    r"|from msgspec import .*\b(?:convert|json|msgpack|toml|yaml)\b"
)


@pytest.mark.parametrize("path", [path for path in CODE if named(path).startswith("proxy/")], ids=named)
def test_kinds_are_learned_at_one_door(path):
    if named(path) != "proxy/decoding.py":
        assert LEARNING.findall(path.read_text()) == [], "not safe in threads: proxy.decoding is"


@pytest.mark.parametrize("path", [path for path in CODE if named(path).startswith("proxy/")], ids=named)
def test_people_are_spoken_to_with_one_voice(path):
    printing = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    if named(path) != "proxy/terminal.py":
        assert printing == [], "proxy.terminal spells out what a terminal would obey"


UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
MACHINE_PATH = re.compile(r"/(?:work|home|Users)/[A-Za-z0-9_.-]+")


@pytest.mark.parametrize("path", WRITTEN, ids=named)
def test_nothing_is_left_for_later_and_no_machine_is_named(path):
    text = path.read_text()
    assert UNFINISHED.findall(text) == []
    assert MACHINE_PATH.findall(text) == []


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("policies/*.toml")), ids=named)
def test_every_policy_we_ship_is_one(path):
    assert load_policy(path).rules
