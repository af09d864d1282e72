"""The desk as the warden builds it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.pieces.alerts import build_alerts
from proxy.pieces.desk import DeskPieces
from proxy.pieces.ground import Ground
from proxy.settings import Settings
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_a_channel_of_the_settings_that_the_vault_does_not_have_is_said_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vault = Vault.create(tmp_path / "vault" / "vault.json", Secret("correct horse battery"), work_factor=2**14)
    vault.add_alert_channel(name="pager", url=Secret("json://127.0.0.1/x"), now=NOW)
    channels: Any = {"channels": {"pager": {}, "pagr": {}}}
    ground = SimpleNamespace(
        settings=Settings(data_dir=tmp_path, alerts=channels),
        vault=vault,
        scribe=SimpleNamespace(event=None, told=None),
        now=lambda: NOW,
    )
    desk = SimpleNamespace(kill=SimpleNamespace(engaged=frozenset))
    with caplog.at_level(logging.WARNING):
        build_alerts(cast(Ground, ground), cast(DeskPieces, desk))
    assert caplog.messages == ["the settings have an alert channel pagr that the vault does not have"]
