"""Which guard a command means. In the working directory lies another one's folder, as a practice guard leaves it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli import _parser, _parser_for, main
from proxy.commands.arguments import DATA_DIR_DEFAULT, Arguments
from proxy.store.fence import Fence
from tests.proxy.kill.practice_exchange import ROOT

POLICY = ROOT / "configs" / "policies" / "demo.toml"

OF_NO_GUARD = {
    "rules",
    "demo",
    "sandbox",
    "policy schema",
    "policy diff",
    "command key",
    "command sign",
    "signals backtest",
    "signals anomalies",
}
"""They ask neither for settings nor for a folder: what a guard's are is nothing to them."""

OTHERWISE = {"kill", "doctor"}
"""A kill goes on, and doctor tells it as a finding: each has a test of its own below."""

MORE = {
    "drill": ["--by", "ann"],
    "rearm": ["--status"],
    "keys add-exchange": ["--offline", "--api-key", "k" * 64],
}
"""What a command wants besides what its parser demands."""


@pytest.fixture
def another_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [each for each in os.environ if each.startswith("PERPGUARD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", "a long passphrase")
    Fence.initialise(DATA_DIR_DEFAULT)
    return tmp_path / DATA_DIR_DEFAULT


@pytest.fixture(params=["missing", "torn", "no text", "a folder", "names none"])
def unreadable(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A settings file that cannot be read, or does not say which folder in a way that can be."""
    path = tmp_path / "production.toml"
    match request.param:
        case "torn":
            path.write_text('data_dir = "/var/lib/perpguard"\ndesk = live\n')
        case "no text":
            path.write_bytes(b'data_dir = "\xff"\n')
        case "a folder":
            path.mkdir()
        case "names none":
            path.write_text("data_dir = 5\n")
    return path


def commands(parser: argparse.ArgumentParser, *words: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Everything that the command line can be told to do, and what reads the rest of it."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if words and not any(action.required for action in inner):
        yield " ".join(words), parser
    for action in inner:
        for name, command in action.choices.items():
            yield from commands(command, *words, name)


def needed(parser: argparse.ArgumentParser) -> Iterator[str]:
    """What the command cannot do without, said so that each is what it should be."""
    for action in parser._actions:
        if not action.required or isinstance(action, argparse._SubParsersAction):
            continue
        yield from action.option_strings[:1]
        if action.type is Path:
            yield str(POLICY)
        elif action.choices:
            yield str(next(iter(action.choices)))
        else:
            yield "3" if action.type is int else {"venue": "binanceusdm"}.get(action.dest, "x")


def content(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_no_command_takes_another_guard_s_folder_for_that_of_settings_it_cannot_read(
    another_guard: Path, unreadable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(another_guard)
    found: set[str] = set()
    strayed: dict[str, object] = {}
    for words, parser in commands(_parser()):
        found.add(words)
        if words in OF_NO_GUARD | OTHERWISE:
            continue
        line = ["--config", str(unreadable), *words.split(), *needed(parser), *MORE.get(words, ())]
        code, said = main(line), capsys.readouterr()
        told = said.err.startswith(f"perpguard {words.split()[0]}: {unreadable}: ") and said.err.count("\n") == 1
        if code != 2 or not told or said.out or "Errno" in said.err:
            strayed[words] = (code, said)
    assert strayed == {}
    assert content(another_guard) == before
    assert found >= OF_NO_GUARD | OTHERWISE and len(found) > 70, "the command line was walked"


def test_so_it_is_where_the_environment_names_the_settings(
    another_guard: Path, unreadable: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PERPGUARD_CONFIG", str(unreadable))
    assert main(["init"]) == 2
    assert capsys.readouterr().err.startswith(f"perpguard init: {unreadable}: ")


@pytest.mark.parametrize("by_variable", [False, True])
def test_whoever_says_the_folder_itself_needs_no_settings_to_find_it(
    another_guard: Path,
    unreadable: Path,
    by_variable: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    meant = tmp_path / "meant"
    if by_variable:
        monkeypatch.setenv("PERPGUARD_DATA_DIR", str(meant))
    said = [] if by_variable else ["--data-dir", str(meant)]
    assert main(["--config", str(unreadable), *said, "certificate", "key"]) == 2
    assert str(meant / "certificates") in capsys.readouterr().err


def test_a_kill_alone_goes_on_with_the_usual_folder(another_guard: Path, unreadable: Path) -> None:
    line = ["--config", str(unreadable), "kill", "--by", "ann", "--reason", "a drill of ours"]
    args = _parser_for("kill").parse_args(line, namespace=Arguments())
    assert args.data_dir == DATA_DIR_DEFAULT


def test_doctor_tells_it_as_what_has_to_be_mended(
    another_guard: Path, unreadable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(another_guard)
    assert main(["--config", str(unreadable), "doctor", "--offline"]) == 1
    assert f"MEND  settings: {unreadable}: " in capsys.readouterr().out
    assert content(another_guard) == before


def test_nothing_is_begun_for_a_guard_that_could_not_start(
    another_guard: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A settings file with a key that there is not: it says which folder is meant, and `up` refuses it."""
    meant = tmp_path / "meant"
    config = tmp_path / "production.toml"
    config.write_text(f'data_dir = "{meant}"\ngate_prot = 8080\n')
    assert main(["--config", str(config), "init"]) == 2
    assert capsys.readouterr().err == "perpguard init: gate_prot: Extra inputs are not permitted\n"
    assert not meant.exists()
    config.write_text(f'data_dir = "{meant}"\ngate_port = 8080\n')
    assert main(["--config", str(config), "init"]) == 0
    assert capsys.readouterr().out == f"{meant} is ready; nothing is stopped; kill generation 1\n"
