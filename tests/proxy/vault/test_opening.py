"""Who may open a vault, and when the guard does not start on one that opens."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from proxy.settings import Settings
from proxy.vault.errors import PassphraseMissing
from proxy.vault.keys import Secret
from proxy.vault.opening import open_unambiguous, open_vault, vault_path
from proxy.vault.vault import Vault
from proxy.venues.binance.client_ids import TagsClash, tag


def test_a_vault_is_where_it_is_looked_for(tmp_path: Path, path: Path) -> None:
    assert vault_path(tmp_path) == path


def test_where_two_bots_look_alike_the_guard_does_not_start_and_a_kill_goes_on(
    tmp_path: Path, vault: Vault, passphrase: Secret, now: datetime
) -> None:
    alike = next(
        name for name in (f"bot{n}" for n in range(10**6)) if tag("main", name).lower() == tag("main", "ada").lower()
    )
    for name in ("ada", alike):
        vault.issue(bot=name, account="main", label="a", now=now)
    environment = {"PERPGUARD_PASSPHRASE": passphrase.reveal()}
    with pytest.raises(TagsClash, match="rename one of them"):
        open_unambiguous(Settings(data_dir=tmp_path), environment)
    assert open_vault(tmp_path, environment=environment, file=None, prompt=None).accounts() == vault.accounts()


def test_the_settings_own_passphrase_comes_first(tmp_path: Path, vault: Vault, passphrase: Secret) -> None:
    settings = Settings(data_dir=tmp_path, passphrase=SecretStr(passphrase.reveal()))
    assert open_unambiguous(settings, {"PERPGUARD_PASSPHRASE": "another one"}).accounts() == vault.accounts()


def test_nobody_is_asked_who_must_not_be(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch, passphrase: Secret
) -> None:
    monkeypatch.setattr("proxy.vault.opening.person_here", lambda: lambda question: passphrase.reveal())
    assert open_unambiguous(Settings(data_dir=tmp_path), {}).accounts() == vault.accounts()
    with pytest.raises(PassphraseMissing):
        open_unambiguous(Settings(data_dir=tmp_path), {}, ask=False)
