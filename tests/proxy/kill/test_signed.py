"""Signed commands: right once, for two minutes, for one desk; anything else is refused and nothing comes of it."""

from __future__ import annotations

import argparse
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.commands import signed_command as signing
from proxy.kill import signed as signed_module
from proxy.kill.signed import Command, CommandDesk, CommandRefused, signed
from tests.support.commands import ANN, a_command, public_half

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


class Desk:
    """A command desk and a clock that a test winds."""

    def __init__(self, directory: Path) -> None:
        self.now = NOW
        self.path = directory / "commands" / "nonces.json"
        self.keys = {"ann": public_half(ANN)}
        self.restart()

    def restart(self) -> None:
        self.desk = CommandDesk(desk="demo", keys=self.keys, path=self.path, now=lambda: self.now)

    def refusal(self, fields: dict[str, str]) -> str:
        with pytest.raises(CommandRefused) as refused:
            self.desk.accept(fields)
        return refused.value.code


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_right_command_is_what_was_signed(desk: Desk) -> None:
    accepted = desk.desk.accept(a_command(NOW, command="reduce", scope="account:main"))
    assert (accepted.command, accepted.scope, accepted.by) == (Command.REDUCE, "account:main", "ann")


@pytest.mark.parametrize("name", ["command", "desk", "scope", "by", "reason", "at", "nonce", "signature"])
def test_not_a_field_of_it_can_be_changed_on_the_way(desk: Desk, name: str) -> None:
    command = a_command(NOW)
    forged = {**command, name: "reduce" if name == "command" else command[name] + "0"}
    assert desk.refusal(forged) == "BAD_SIGNATURE"
    desk.desk.accept(command)


def test_somebody_elses_key_and_nobodys_name_are_told_apart_from_nothing(desk: Desk) -> None:
    stranger = Ed25519PrivateKey.generate()
    assert desk.refusal(a_command(NOW, key=stranger)) == "BAD_SIGNATURE"
    assert desk.refusal(a_command(NOW, key=stranger, by="bob")) == "BAD_SIGNATURE"
    assert desk.refusal({**a_command(NOW), "signature": "no base64"}) == "BAD_SIGNATURE"
    assert desk.refusal({**a_command(NOW), "signature": "丂;ΒЖ"}) == "BAD_SIGNATURE"


def test_the_second_time_it_is_a_replay_also_after_a_restart(desk: Desk) -> None:
    command = a_command(NOW)
    desk.desk.accept(command)
    assert desk.refusal(command) == "REPLAYED"
    desk.restart()
    desk.now += timedelta(seconds=119)
    assert desk.refusal(command) == "REPLAYED"
    desk.now += timedelta(seconds=2)
    assert desk.refusal(command) == "STALE_COMMAND"


def test_a_command_of_the_future_cannot_be_kept_until_its_nonce_is_forgotten(desk: Desk) -> None:
    command = a_command(NOW + timedelta(seconds=119))
    desk.desk.accept(command)
    for seconds in range(0, 600, 7):
        desk.now = NOW + timedelta(seconds=seconds)
        assert desk.refusal(command) in ("REPLAYED", "STALE_COMMAND")


@pytest.mark.parametrize("seconds", [-121, 121])
def test_an_old_command_and_one_from_a_wrong_clock_are_refused(desk: Desk, seconds: int) -> None:
    assert desk.refusal(a_command(NOW + timedelta(seconds=seconds))) == "STALE_COMMAND"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"desk": "other"}, "OTHER_DESK"),
        ({"command": "rearm"}, "UNKNOWN_COMMAND"),
        ({"nonce": "short"}, "NONCE"),
        ({"nonce": "a" * 65}, "NONCE"),
        ({"at": "2026-11-24T09:30:00"}, "AT"),
        ({"at": "now"}, "AT"),
    ],
)
def test_what_is_signed_and_makes_no_sense_is_refused(desk: Desk, changed: dict[str, str], code: str) -> None:
    assert desk.refusal(a_command(NOW, **changed)) == code


def test_the_memory_of_nonces_is_bounded_and_forgets_by_itself(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed_module, "NONCES_MAX", 5)
    for _ in range(5):
        desk.desk.accept(a_command(NOW))
    assert desk.refusal(a_command(NOW)) == "TOO_MANY_COMMANDS"
    desk.now += timedelta(seconds=241)
    desk.desk.accept(a_command(desk.now))


def test_a_disk_that_keeps_nothing_does_not_keep_a_kill_back(desk: Desk) -> None:
    desk.path.parent.write_text("in the way")
    command = a_command(NOW)
    desk.desk.accept(command)
    assert desk.refusal(command) == "REPLAYED"


def test_a_damaged_memory_is_an_empty_one(desk: Desk) -> None:
    desk.desk.accept(a_command(NOW))
    desk.path.write_text("[1]")
    desk.restart()
    desk.desk.accept(a_command(NOW))


def test_a_key_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes in base64"):
        CommandDesk(desk="demo", keys={"ann": "AAAA"}, path=tmp_path / "nonces.json", now=lambda: NOW)


def test_the_signature_is_over_canonical_json() -> None:
    fields = {name: name for name in ("command", "desk", "scope", "by", "reason", "at", "nonce")}
    assert signed(fields, ANN) == signed(dict(reversed(fields.items())), ANN)


def spoken(*words: str) -> tuple[int, str, str]:
    """What the command line answers to ``perpguard command`` and these words."""
    parser, stdout, stderr = argparse.ArgumentParser(), io.StringIO(), io.StringIO()
    signing.add_arguments(parser.add_subparsers())
    return signing.run(parser.parse_args(["command", *words]), stdout, stderr), stdout.getvalue(), stderr.getvalue()


@pytest.mark.parametrize("scope", ["nonsense", "account:", "account:a b", ""])
def test_nothing_is_signed_for_a_scope_that_is_none(tmp_path: Path, scope: str) -> None:
    key = str(tmp_path / "ann.key")
    assert spoken("key", key)[0] == 0
    words = ("sign", "--key", key, "--by", "ann", "--reason", "a drill of ours", "--scope")
    code, out, err = spoken(*words, scope)
    assert (code, out) == (2, "") and err.startswith("perpguard command: ")
    assert json.loads(spoken(*words, "bot:grid")[1])["scope"] == "bot:grid"


@pytest.mark.parametrize(
    "words", [("key",), ("sign", "--by", "ann", "--reason", "a drill of ours", "--key")], ids=" ".join
)
def test_a_key_s_file_that_is_out_of_reach_is_named_without_a_number(tmp_path: Path, words: tuple[str, ...]) -> None:
    nowhere = str(tmp_path / "nowhere" / "ann.key")
    assert spoken(*words, nowhere) == (2, "", f"perpguard command: {nowhere}: No such file or directory\n")
