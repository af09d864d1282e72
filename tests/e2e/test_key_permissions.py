"""An account whose exchange key can do too much trades only to get out, until a person takes that."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.practice.world import ACCOUNT
from tests.support.policies import a_policy
from tests.support.rearming import come_back
from tests.support.worlds import LiveWorld, until


def test_a_safe_key_is_sound_and_nothing_happens(tmp_path: Path) -> None:
    with LiveWorld(tmp_path, a_policy()) as world:
        until(lambda: world.account()["exchange_key"] == "sound", "the key was asked about")
        assert world.account()["state"] == "ACTIVE"


@pytest.mark.parametrize(("policy", "state"), [(a_policy(outside="kill"), "REDUCING"), (a_policy(), "ACTIVE")])
def test_a_dangerous_key_is_never_silent(tmp_path: Path, policy: str, state: str) -> None:
    with LiveWorld(tmp_path, policy, withdrawals=True) as world:
        until(lambda: world.account()["exchange_key"] == "withdrawals", "the key was asked about")
        until(lambda: world.account()["state"] == state, f"the account is {state}")
        assert "the key of demo is not as it should be: withdrawals" in world.guard_log()
        found = until(
            lambda: [each for each in world.export() if each.get("what") == "key.permissions"], "it is in the audit"
        )
        assert found[0]["detail"]["wrong"] == ["withdrawals"]
        if state == "ACTIVE":
            return
        refused = world.bot.order("BTCUSDT", "BUY", "0.002")
        assert refused.status_code == 400 and "REDUCE_ONLY_STATE" in refused.text
        come_back(world, f"account:{ACCOUNT}", "the treasury needs this key")
        assert world.bot.order("BTCUSDT", "BUY", "0.002").status_code == 200
