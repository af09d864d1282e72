"""``perpguard people``: with and without a warden, it is the same file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.people.file import PeopleFile
from tests.support.people import write_people


def people(capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str, code: int = 0) -> str:
    assert main(["--data-dir", str(tmp_path), "people", *words]) == code
    said = capsys.readouterr()
    return said.out if code == 0 else said.err


def test_invite_prints_a_link_once_and_keeps_only_its_digest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(people(capsys, tmp_path, "invite", "Grace Hopper", "--role", "risk", "--json"))
    assert (told["name"], told["role"], told["state"]) == ("Grace Hopper", "risk", "invited")
    token = told["link"].rpartition("/")[2]
    assert told["link"].startswith("http://127.0.0.1:8081/welcome/")
    assert PeopleFile(tmp_path).read().link(token, datetime.now(UTC)) is not None
    assert token not in PeopleFile(tmp_path).path.read_text()
    assert people(capsys, tmp_path, "list") == "Grace Hopper  risk  invited  without an app\n"


def test_roles_change_and_ways_close_and_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_people(tmp_path)
    assert people(capsys, tmp_path, "role", "vic", "trader") == "Vic  trader  active\n"
    assert people(capsys, tmp_path, "disable", "Vic") == "Vic  trader  disabled\n"
    assert people(capsys, tmp_path, "enable", "Vic") == "Vic  trader  active\n"
    assert "/welcome/" in people(capsys, tmp_path, "reset", "Vic")
    listed = {each["name"]: each["state"] for each in json.loads(people(capsys, tmp_path, "list", "--json"))}
    assert listed["Vic"] == "invited"
    changes = PeopleFile(tmp_path).read().changes
    assert [change.what for change in changes] == [
        "people.role",
        "people.disabled",
        "people.enabled",
        "people.reset",
    ]
    assert all(change.by.endswith("command line)") or change.by == "command line" for change in changes)


def test_a_slip_in_the_settings_keeps_nobody_from_closing_a_way_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_people(tmp_path)
    config = tmp_path / "perpguard.toml"
    config.write_text('data_dir = "."\ncontrol_prt = 8081\n', encoding="utf-8")
    assert main(["--config", str(config), "people", "disable", "Vic"]) == 0
    assert PeopleFile(tmp_path).read().find("Vic").state == "disabled"
    capsys.readouterr()
    for words in (("invite", "Eve", "--role", "admin"), ("reset", "Vic")):
        assert main(["--config", str(config), "people", *words]) == 2, "of its port the link would be wrong"
    assert "control_prt" in capsys.readouterr().err
    assert [each.name for each in PeopleFile(tmp_path).read().users if each.name == "Eve"] == []


def test_what_cannot_be_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_people(tmp_path)
    assert "nobody of that name" in people(capsys, tmp_path, "disable", "Nobody", code=1)
    assert "last admin" in people(capsys, tmp_path, "disable", "Ada Lovelace", code=1)
    assert "no authenticator app" in people(capsys, tmp_path, "role", "Tess", "risk", code=1)


def test_a_damaged_file_is_said_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_people(tmp_path)
    PeopleFile(tmp_path).path.write_bytes(b"{}")
    assert "cannot be read" in people(capsys, tmp_path, "invite", "Eve", "--role", "admin", code=2)
    assert PeopleFile(tmp_path).path.read_bytes() == b"{}"


@pytest.mark.parametrize(
    "words",
    [
        ("invite", "Eve", "--role", "admin"),
        ("role", "Vic", "risk"),
        ("disable", "Vic"),
        ("enable", "Vic"),
        ("reset", "Vic"),
    ],
    ids=lambda words: words[0],
)
def test_nobody_is_changed_where_there_is_no_guard_and_none_is_begun_there(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt folder: a link would be printed by which nobody comes in."""
    misspelt = tmp_path / "gaurd"
    said = people(capsys, misspelt, *words, code=2)
    assert said == f"perpguard people: there is no guard in {misspelt}: `perpguard init` begins one there\n"
    assert not misspelt.exists()
