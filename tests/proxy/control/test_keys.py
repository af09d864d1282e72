"""The vault's keys as the control door sees them, over a real vault file."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.control.keys import KeysControl
from proxy.refused import Refused
from proxy.vault.keys import KeyState, Secret
from proxy.vault.vault import Vault

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Recorded(list[tuple[str, str, dict[str, Any]]]):
    async def __call__(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.append((what, by, detail))


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    made = Vault.create(tmp_path / "vault.json", Secret("a passphrase of some length"), work_factor=2**14)
    made.add_exchange_key(account="main", venue="binanceusdm", api_key="k" * 64, api_secret=Secret("s" * 64), now=NOW)
    made.issue(bot="grid", account="main", label="grid", now=NOW)
    return made


async def test_a_key_is_named_without_being_shown_and_what_is_done_is_recorded(vault: Vault) -> None:
    recorded, key = Recorded(), vault.guard_keys()[0]
    control = KeysControl(vault=vault, watches={}, record=recorded, spoken_for=nullcontext, now=lambda: NOW)
    view = await control.keys()
    shown = str(view)
    assert key.key not in shown and key.secret.reveal() not in shown and "s" * 64 not in shown and "k" * 64 not in shown
    found = view.guard_keys[0]
    assert (found.bot, found.state, view.exchange_keys[0].verdict) == ("grid", "active", "unknown")

    assert (await control.switch(found.id, on=False, by="ann")).state == "disabled"
    assert vault.guard_keys()[0].state is KeyState.DISABLED
    assert (await control.switch(found.id, on=True, by="ben")).state == "active"
    assert [(what, by, detail["bot"]) for what, by, detail in recorded] == [
        ("key.disabled", "ann", "grid"),
        ("key.enabled", "ben", "grid"),
    ]
    assert key.key not in str(recorded)


async def test_what_is_no_key_and_what_is_rotated_is_refused(vault: Vault) -> None:
    recorded = Recorded()
    control = KeysControl(vault=vault, watches={}, record=recorded, spoken_for=nullcontext, now=lambda: NOW)
    with pytest.raises(Refused, match="no such guard key"):
        await control.switch("0" * 16, on=False, by="ann")
    old = (await control.keys()).guard_keys[0]
    vault.rotate(vault.guard_keys()[0].key, NOW)
    with pytest.raises(Refused, match="stays as it was"):
        await control.switch(old.id, on=True, by="ann")
    assert recorded == []
