"""The doctor's round through one guard's files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.doctor.finding import Level
from proxy.doctor.rounds import looked
from proxy.settings import Settings
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault

PASSPHRASE = "correct horse battery"


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
