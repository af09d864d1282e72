"""The doctor's round through one guard's files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import SecretStr

from proxy.cli import main
from proxy.doctor import rounds
from proxy.doctor.finding import Finding, Level, ok
from proxy.doctor.part import secrets_of
from proxy.doctor.rounds import looked
from proxy.settings import Settings
from proxy.store.fence import Fence
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault

PASSPHRASE = "correct horse battery"
ANOTHER = 65_534


def test_a_channel_of_the_settings_that_the_vault_does_not_have_is_worth_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", PASSPHRASE)
    vault = Vault.create(tmp_path / "vault" / "vault.json", Secret(PASSPHRASE), work_factor=2**14)
    vault.add_alert_channel(name="pager", url=Secret("json://127.0.0.1/x"), now=datetime.now(UTC))
    channels: Any = {"channels": {"pager": {}, "pagr": {}}}
    settings = Settings(data_dir=tmp_path, alerts=channels, control_port=1)
    (found,) = [each for each in looked(lambda: settings, offline=True) if each.check == "alert channels"]
    assert found.level is Level.WARN and "pagr" in found.said and "pager " not in found.said


def test_a_bot_of_whose_keys_none_is_obeyed_is_worth_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", PASSPHRASE)
    vault = a_vault(tmp_path)
    now = datetime.now(UTC)
    kept, lost = (vault.issue(bot=name, account="main", label="a", now=now) for name in ("grid", "maker"))
    vault.rotate(kept.key, now)
    vault.disable(lost.key, now)
    found = {each.check: each for each in of(Settings(data_dir=tmp_path, control_port=1))}
    assert found["guard keys of maker"].level is Level.WARN and "keys enable" in found["guard keys of maker"].mend
    assert "guard keys of grid" not in found


def test_a_passphrase_that_can_be_read_only_once_hides_no_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the shell's ``<(...)`` gives it: the second who reads finds an empty pipe."""
    a_vault(tmp_path)
    reads, writes = os.pipe()
    os.write(writes, PASSPHRASE.encode())
    os.close(writes)
    monkeypatch.delenv("PERPGUARD_PASSPHRASE", raising=False)
    monkeypatch.setenv("PERPGUARD_PASSPHRASE_FILE", f"/dev/fd/{reads}")
    found = {each.check: each for each in of(Settings(data_dir=tmp_path, control_port=1))}
    os.close(reads)
    assert found["vault"].level is Level.WARN  # It was opened, and no bot has a key.
    assert found["policy"].level is Level.WARN and "not compared" in found["policy"].said


@pytest.fixture
def directory() -> Iterator[Path]:
    """A data directory where other users may come to, if it lets them."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        directory = Path(place) / "data"
        Fence.initialise(directory)
        (directory / "control.token").write_text("a token")
        yield directory


@contextmanager
def shut(path: Path) -> Iterator[None]:
    """``path`` cannot be looked into by whoever runs this: root becomes another user, others take their right away."""
    root = os.geteuid() == 0
    path.chmod(0o700 if root else 0o000)
    if root:
        os.seteuid(ANOTHER)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o700)


def test_another_user_hears_whose_it_is_and_of_everything_that_can_be_looked_at(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", PASSPHRASE)
    with shut(directory):
        assert main(["--data-dir", str(directory), "doctor", "--offline"]) == 1
        user = os.geteuid()
    said = capsys.readouterr().out
    for check in ("rights", "kill state", "drill", "vault", "store", "warden"):
        assert f"MEND  {check}: " in said, check
    assert f"(user {user}) cannot look at {directory}" in said and "; nor at " in said
    assert "sudo -u '#0' perpguard doctor" in said or user != ANOTHER
    assert "ok    disk: " in said and "ok    control port: " in said and " to mend, " in said
    assert "damaged the disk, then perpguard rearm" not in said and "perpguard keys add-exchange" not in said


def test_drills_that_cannot_be_looked_at_are_not_taken_for_none(directory: Path) -> None:
    (directory / "drills").mkdir()
    directory.chmod(0o755)
    with shut(directory / "drills"):
        found = {each.check: each for each in of(Settings(data_dir=directory, control_port=1))}
    assert found["drill"].level is Level.FAIL and str(directory / "drills") in found["drill"].said


def test_whatever_one_part_raises_is_a_finding_and_the_others_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, store_password = "the control token", "p%40ss"

    def breaks(*_: object, **__: object) -> Iterator[Finding]:
        yield ok("half", "was looked at")
        raise RuntimeError(f"at {store_password} {token} p@ss {PASSPHRASE}\x1b[2J of BTCUSDT")

    monkeypatch.setenv("PERPGUARD_PASSPHRASE", PASSPHRASE)
    settings = Settings(
        data_dir=tmp_path,
        control_port=1,
        control_token=SecretStr(token),
        store_url=f"redis://:{store_password}@127.0.0.1:1/0",
    )
    for part in ("look_at_machine", "_vault", "_policy", "look_at_store", "look_at_guard"):
        monkeypatch.setattr(rounds, part, breaks)
    found = of(settings)
    broken = [each for each in found if each.level is Level.FAIL]
    assert [each.check for each in broken] == ["machine", "vault", "policy", "store", "guard"]
    assert sum(each.check == "half" for each in found) == 4  # The store's look is one answer, it has no half.
    for each in broken[:3]:
        assert "RuntimeError: at [secret] [secret] [secret] [secret]" in each.said and "BTCUSDT" in each.said
        assert "\x1b" not in each.said and each.mend


def test_a_finding_is_printed_before_the_next_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[str] = []

    def slow(*_: object, **__: object) -> Iterator[Finding]:
        yield ok("first", "at once")
        heard.append(capsys.readouterr().out)
        yield ok("second", "late")

    monkeypatch.setattr(rounds, "looked", slow)
    assert main(["--data-dir", str(tmp_path), "doctor"]) == 0
    assert heard == ["ok    first: at once\n"]
    assert capsys.readouterr().out == "ok    second: late\n0 to mend, 0 to look at, 2 well\n"


def a_vault(directory: Path) -> Vault:
    vault = Vault.create(directory / "vault" / "vault.json", Secret(PASSPHRASE), work_factor=2**14)
    vault.add_exchange_key(
        account="main", venue="binanceusdm", api_key="k" * 64, api_secret=Secret("s" * 64), now=datetime.now(UTC)
    )
    return vault


def of(settings: Settings) -> list[Finding]:
    return list(looked(lambda: settings, offline=True))


@pytest.mark.parametrize("password", ["p[ss", "p/s@s", "%70ss"])
def test_a_password_that_is_no_part_of_a_proper_address_is_a_secret_too(password: str, tmp_path: Path) -> None:
    url = f"postgresql://perpguard:{password}@db:5432/perpguard"
    known = secrets_of(Settings(data_dir=tmp_path, audit_url=SecretStr(url)), {})
    assert {url, password, unquote(password)} <= set(known)
