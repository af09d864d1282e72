"""The desk as the warden builds it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.alerts.lifecycle import Acknowledged, Seen, State, evolve
from proxy.alerts.reports import CONFIGURED_WATCHDOG, condition
from proxy.alerts.shelf import Shelf
from proxy.settings import Settings
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault
from proxy.warden.alerts import build_alerts
from proxy.warden.pieces.desk import DeskPieces
from proxy.warden.pieces.ground import Ground
from proxy.warden.pieces.heart import build_heart

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


@pytest.mark.parametrize("settings", [{"watchdog": "none"}, {"watchdog": "remote"}], ids=["none wanted", "one wanted"])
def test_a_watchdog_that_was_alarmed_of_before_the_start_is_lost_from_the_start(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    names = ("far", "taken away", CONFIGURED_WATCHDOG)
    reports = tuple(condition("watchdog", watchdog=name) for name in names)
    state, _ = evolve(State(), Seen((*reports, condition("store"))), NOW, quiet=False)
    state, _ = evolve(state, Acknowledged(state.open["watchdog:taken away"].id, "ann"), NOW, quiet=False)
    Shelf(tmp_path).write(state)
    ground = SimpleNamespace(
        settings=Settings(data_dir=tmp_path, **settings),
        pulse=None,
        scribe=SimpleNamespace(event=None),
    )
    beats: Any = None
    heart = build_heart(cast(Ground, ground), beats, lambda: cast(Any, None))
    assert [(each.name, each.lost) for each in heart.states()] == [("far", True)]
    (tmp_path / "alerts" / "state.json").write_text("{")
    assert not any(each.lost for each in build_heart(cast(Ground, ground), beats, lambda: cast(Any, None)).states())
