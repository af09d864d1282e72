"""Re-arming as the control door shows it: what is stopped can be seen and let go, whatever it is called."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from redis.exceptions import ConnectionError as StoreGone

from proxy.control.rearming import RearmControl
from proxy.kill.bot_stops import BotStops
from proxy.kill.desk import KillDesk
from proxy.kill.hands import AccountHands
from proxy.kill.rearm_desk import Seen
from proxy.kill.roster import Roster
from proxy.refused import Refused
from proxy.store.fence import Scope
from proxy.store.ownership import DeskTaken
from rules.model import TradingState
from tests.proxy.kill.test_f22_rearm_desk import POLICY, Bench

MISTYPED = Scope("mian")


@dataclass
class Door:
    """The control door before a desk of the account ``main``. ``reduced`` is what something made reduce-only."""

    bench: Bench
    reduced: list[Scope]
    control: RearmControl

    async def stages(self) -> dict[str, str]:
        return {view.scope: view.stage for view in await self.control.all()}


@pytest.fixture
def door(tmp_path: Path) -> Door:
    bench, reduced = Bench(tmp_path), list[Scope]()

    async def found() -> Sequence[Scope]:
        return reduced

    def bot_hands(bot: str, account: str) -> AccountHands:
        raise AssertionError("nothing is closed here")

    roster = Roster(hands={}, venues={"main": "binanceusdm"}, traders=lambda: (), bot_hands=bot_hands)
    kill = SimpleNamespace(truths=bench.kill.truths, roster=roster)
    control = RearmControl(
        kill=cast("KillDesk", kill),
        rearming=bench.desk,
        stops=cast("BotStops", SimpleNamespace(stop_of=lambda bot: None)),
        reduced=found,
        now=lambda: bench.now,
    )
    return Door(bench, reduced, control)


async def test_a_scope_that_was_mistyped_is_shown_and_let_go(door: Door) -> None:
    for scope in (Scope("main"), MISTYPED):
        await door.bench.kill.press(scope)
    assert await door.stages() == {"account:main": "KILLED", "account:mian": "KILLED"}
    said = {"name": "ann", "reason": "it was mistyped", "typed": "account:mian", "policy": POLICY.version}
    view = await door.control.request(scope="account:mian", acknowledged="", **said)
    assert view.stage == "REQUESTED"
    await door.control.approve(scope="account:mian", name="ben", reason="so it was", typed="account:mian")
    assert await door.stages() == {"account:main": "KILLED", "account:mian": "REDUCING"}
    assert MISTYPED not in door.bench.kill.truths.fence.scopes()


async def test_scopes_are_looked_at_at_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    for scope in (Scope("main"), MISTYPED):
        await door.bench.kill.press(scope)
    seen, both = door.bench.desk.seen, asyncio.Barrier(2)

    async def together(scope: Scope) -> Seen:
        await asyncio.wait_for(both.wait(), 5)
        return await seen(scope)

    monkeypatch.setattr(door.bench.desk, "seen", together)
    assert list(await door.stages()) == ["account:main", "account:mian"]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (
            DeskTaken("there:/data"),
            "account:main stays as it is: this desk of the store is another guard's, at there:/data",
        ),
        (StoreGone(), "account:main stays as it is: the store or the disk did not answer"),
    ],
    ids=["taken", "gone"],
)
async def test_a_rearm_on_another_guards_desk_is_refused_for_that_and_not_for_a_silent_store(
    door: Door, monkeypatch: pytest.MonkeyPatch, trouble: Exception, said: str
) -> None:
    await door.bench.kill.press(Scope("main"))

    async def refused(*_: object, **__: object) -> None:
        raise trouble

    monkeypatch.setattr(door.bench.store, "set_ramp", refused)
    words = {"name": "ann", "reason": "mended the loop", "typed": "account:main"}
    await door.control.request(scope="account:main", policy=POLICY.version, acknowledged="", **words)
    with pytest.raises(Refused) as refusal:
        await door.control.approve(scope="account:main", **(words | {"name": "ben"}))
    assert str(refusal.value) == said


async def test_one_that_nothing_stopped_is_no_scope(door: Door) -> None:
    with pytest.raises(Refused, match="no such account"):
        await door.control.seen("account:mian")


async def test_what_was_only_made_reduce_only_is_not_called_killed(door: Door) -> None:
    door.reduced.append(Scope("main"))
    door.bench.store.fields["account:main"] = TradingState.REDUCING.value
    assert await door.stages() == {"account:main": "REDUCING"}
