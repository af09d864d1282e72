"""The button while the gates are flooded and crowded: it blocks, and nothing that a bot sends afterwards arrives.

How long it takes is measured by ``bench.kill_under_load``, whose load this is, smaller.
"""

from __future__ import annotations

import pytest

from bench.hostile import Hostile
from bench.kill_under_load import measure
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

RATE, HOSTILE, PRESSES = 100.0, 600, 3
BLOCKED_MS_MAX = 10_000
"""Far above what is promised: a test's machine may be busy with anything."""

CROWD = 3_000


@pytest.mark.full
def test_nothing_arrives_after_blocked_while_the_gates_are_flooded_and_crowded() -> None:
    result = measure(RATE, HOSTILE, PRESSES)
    assert result.rate > 0
    assert result.held > 0
    assert len(result.blocked_ms) == PRESSES
    assert max(result.blocked_ms) < BLOCKED_MS_MAX
    assert result.first_cancel_ms > 0
    assert result.late == 0


@pytest.mark.full
def test_three_thousand_hostile_connections_do_not_shut_the_way_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    policy = a_policy(a_rule("desk.max_order_value", limit=50_000))
    with LiveWorld(tmp_path_factory.mktemp("crowd") / "data", policy, balance=100_000, gate_workers=2) as world:
        bot = world.bot
        assert bot.order("BTCUSDT", "BUY", "0.1").status_code == 200
        bot.order("BTCUSDT", "BUY", "0.01", 85_000).raise_for_status()
        with Hostile(world.places.gate, CROWD) as crowd:
            until(lambda: crowd.held > CROWD // 2, "the crowd stands at the gate", 120)
            newcomer = world.bot_named(next(iter(world.guard_keys)))
            assert newcomer.order("BTCUSDT", "SELL", "0.1", reduceOnly="true").status_code == 200
            assert newcomer.cancel_all("BTCUSDT").status_code == 200
        assert world.direct.positions() == {}
        assert world.direct.open_orders() == []
        assert "Traceback" not in world.guard_log()
