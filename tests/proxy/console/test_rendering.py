"""Templates are compiled once for an installation, and whatever is wrong with what was kept is compiled again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment

from proxy.console import rendering, words

TEMPLATES = sorted(path.name for path in (Path(rendering.__file__).parent / "templates").iterdir())


@pytest.fixture
def kept_under(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where Python is told to keep what it compiles."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    yield tmp_path
    rendering._environment.cache_clear()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the templates that were compiled, as they are."""
    names: list[str] = []
    compile_one = Environment.compile

    def watched(self: Environment, source: str, name: str, filename: str) -> object:
        names.append(name)
        return compile_one(self, source, name, filename)

    monkeypatch.setattr(Environment, "compile", watched)
    return names


def start() -> str:
    """As a process that starts does, beside what this one has; a part that shows something."""
    rendering._environment.cache_clear()
    return bytes(rendering.Rendering().page("_notice.html", good=False, text="<no>").body).decode()


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("template-*"))


def test_the_second_start_compiles_nothing_and_shows_the_same(kept_under: Path, compiled: list[str]) -> None:
    shown = start()
    assert sorted(compiled) == TEMPLATES
    assert len(files(kept_under)) == len(TEMPLATES)
    compiled.clear()
    assert start() == shown
    assert compiled == []
    assert "&lt;no&gt;" in shown


@pytest.mark.parametrize("harm", [b"", b"\0" * 4096, None])
def test_a_kept_file_that_is_not_whole_is_not_run(kept_under: Path, compiled: list[str], harm: bytes | None) -> None:
    shown = start()
    for path in files(kept_under):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] if harm is None else harm)
    compiled.clear()
    assert start() == shown
    assert sorted(compiled) == TEMPLATES
    compiled.clear()
    assert start() == shown
    assert compiled == [], "mended"


def test_other_filters_are_compiled_anew(
    kept_under: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    monkeypatch.setitem(words.FILTERS, "another", str)
    compiled.clear()
    start()
    assert sorted(compiled) == TEMPLATES


def test_nothing_is_kept_where_python_keeps_nothing(
    kept_under: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    start()
    assert files(kept_under) == []


def test_a_folder_that_cannot_be_made_is_no_obstacle(
    kept_under: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (kept_under / "a file").touch()
    monkeypatch.setattr(sys, "pycache_prefix", str(kept_under / "a file"))
    assert "&lt;no&gt;" in start()
    assert sorted(compiled) == TEMPLATES
