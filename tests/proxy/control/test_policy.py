"""The policy's page: what is in force, in order of precedence; what waits; how another text differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.control.policy import PolicyShowing
from proxy.refused import Refused
from tests.proxy.policy.test_desk import MIDDLE, NARROW, WHY, WIDE, World


async def showing(directory: Path) -> tuple[World, PolicyShowing]:
    world = World(directory)
    desk = await world.start(MIDDLE)
    return world, PolicyShowing(policies=desk, data_dir=directory, now=lambda: world.clock)


async def test_what_is_in_force_is_shown_with_its_text_and_the_rules_it_did_not_name(tmp_path: Path) -> None:
    _, page = await showing(tmp_path)
    shown = await page.shown()
    named = {row.rule: row for row in shown.rules}
    assert (shown.text, shown.name, shown.waiting) == (MIDDLE, "solo", [])
    assert shown.loosening == "somebody else's approval"
    assert next(iter(named)) == "trading_state"
    assert ("limit", "200") in named["max_order_value"].settings


async def test_a_text_is_compared_and_neither_kept_nor_proposed(tmp_path: Path) -> None:
    _, page = await showing(tmp_path)
    wider, tighter = await page.differences(WIDE), await page.differences(NARROW)
    assert (wider.loosened, wider.waits) == (
        ["desk max_order_value limit: 200 -> 300"],
        "somebody else's approval",
    )
    assert (tighter.tightened, tighter.waits) == (["desk max_order_value limit: 200 -> 100"], "")
    assert (await page.shown()).waiting == []


async def test_what_waits_is_shown_beside_what_it_would_change(tmp_path: Path) -> None:
    world, page = await showing(tmp_path)
    await world.desk.propose(text=WIDE, name="Ada", reason=WHY)
    (row,) = (await page.shown()).waiting
    assert (row.by, row.reason, row.stale) == ("Ada", WHY, False)
    assert row.differences.loosened == ["desk max_order_value limit: 200 -> 300"]


async def test_what_is_no_policy_is_refused_with_what_is_wrong(tmp_path: Path) -> None:
    _, page = await showing(tmp_path)
    with pytest.raises(Refused, match="max_order_valu"):
        await page.differences(MIDDLE.replace("max_order_value", "max_order_valu"))
