"""Two people put an override in force, one order uses it up, and no restart of anything brings it back."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as StoreGone

from proxy.audit.recording import Subject
from proxy.decoding import build
from proxy.gate.readiness import _used
from proxy.overrides import desk as overrides_desk
from proxy.overrides.desk import GRANTED_MAX, NEVER_OVERRIDDEN, PENDING_MAX, OverrideDesk, OverrideRefused
from proxy.overrides.lifecycle import PENDING_FOR, Phase
from proxy.store.codec import dump, load
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.warden_store import WardenStore
from rules.decision import Breach
from rules.engine import decide_batch
from rules.facts import Override
from rules.order.exit_collar import ExitCollar
from rules.order.max_order_value import MaxOrderValue
from rules.position.own_share import OwnShare
from tests.proxy.overrides.builders import terms
from tests.rules.builders import NOW, a_buy, a_policy, an_account

ANN, BEN = "Ann Lee", "Ben Ode"
POLICY = a_policy(MaxOrderValue(limit=Decimal(1000)), OwnShare())
SUBJECT = Subject(
    decision_id="d1",
    desk="desk",
    bot="demo-bot",
    account="main",
    venue="binanceusdm",
    key_hint="1234",
    route="POST /fapi/v1/order",
)


def a_record(
    *overrides: Override, decision_id: str = "d1", refused: Breach | None = None, **changes: Any
) -> dict[str, Any]:
    """The record of an order that these overrides let pass, as the warden reads it from the stream."""
    entry = a_buy("BTCUSDT", "1")
    snapshot = an_account().under(*overrides).snapshot
    decisions = decide_batch([entry], snapshot, a_policy())
    decisions = (replace(decisions[0], overrides=tuple(each.override_id for each in overrides)),)
    record = replace(SUBJECT, decision_id=decision_id).decision(
        snapshot, "1", [entry], decisions, {} if refused is None else {0: refused}
    )
    return {**load(dump(record)), **changes}


class House:
    """A warden's overrides over a real store, the clock, and what was written down."""

    def __init__(self, server: EmbeddedStore, data_dir: Path) -> None:
        self.store = WardenStore(server.url, data_dir.name)
        self.gate = GateStore(server.url, data_dir.name, timeout_s=5)
        self.data_dir = data_dir
        self.now: datetime = NOW
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.desk = self.restarted()

    def restarted(self) -> OverrideDesk:
        """What a warden that starts anew would have."""
        self.desk = OverrideDesk(
            data_dir=self.data_dir,
            store=self.store,
            record=self._record,
            policy=lambda: POLICY,
            tradable=lambda bot: {"BTCUSDT", "ETHUSDT"} if bot == "demo-bot" else None,
            now=lambda: self.now,
        )
        return self.desk

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.events.append((what, by, detail))

    async def granted(self, **changes: Any) -> str:
        """The id of an override that Ann asked for and Ben approved."""
        asked = await self.desk.request(terms(**changes), ANN)
        return (await self.desk.approve(asked.override_id, BEN)).override_id

    async def in_force(self) -> list[Override]:
        """What a gate would read."""
        bodies = await self.store._redis.hvals(self.store._keys.overrides)  # type: ignore[misc]
        return [build(load(each), Override) for each in bodies]

    async def swept(self, settled: Callable[[], Awaitable[bool]]) -> None:
        """Let the warden's loop run until this is so."""
        loop = asyncio.create_task(self.desk.run())
        try:
            async with asyncio.timeout(10):
                while not await settled():
                    await asyncio.sleep(0.005)
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    async def swept_until_told(self, *names: str) -> None:
        """Let the warden's loop run until the audit has been told these last."""

        async def told() -> bool:
            return self.told[-len(names) :] == list(names)

        await self.swept(told)

    @property
    def phases(self) -> list[Phase]:
        return [state.phase for state in self.desk.open()]

    @property
    def told(self) -> list[str]:
        """The events of the audit, by name."""
        return [what.removeprefix("override.") for what, _, _ in self.events]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


@pytest.fixture
async def house(server: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(overrides_desk, "SWEEP_EVERY_S", 0.01)
    house = House(server, tmp_path)
    yield house
    await house.gate.aclose()
    await house.store.aclose()


async def refusal(asked: Any) -> str:
    with pytest.raises(OverrideRefused) as refused:
        await asked
    return str(refused.value)


async def gone(*_: Any, **__: Any) -> None:
    raise StoreGone


# From the asking to the use


async def test_two_people_put_it_in_force_and_both_stand_in_the_audit(house: House) -> None:
    asked = await house.desk.request(terms(), ANN)
    assert (asked.phase, await house.in_force()) == (Phase.REQUESTED, [])
    house.now += timedelta(minutes=5)
    granted = await house.desk.approve(asked.override_id, BEN)
    assert await house.in_force() == [granted.override]
    assert granted.until == NOW + timedelta(minutes=15)
    detail = {
        "override": asked.override_id,
        "bot": "demo-bot",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "rule_id": "max_order_value",
        "quantity_max": "2",
        "lasts_s": 600,
        "ticket": "RISK-17",
        "reason": "close the hedge of desk B",
        "requested_by": ANN,
        "approved_by": "",
        "until": "2026-11-24T10:00:00Z",
    }
    assert house.events == [
        ("override.requested", ANN, detail),
        ("override.approved", BEN, detail | {"approved_by": BEN, "until": "2026-11-24T09:45:00Z"}),
    ]


async def test_the_same_person_puts_nothing_in_force(house: House) -> None:
    asked = await house.desk.request(terms(), ANN)
    for name in (ANN, "ann  lee", "ANNLEE"):
        assert "another person must" in await refusal(house.desk.approve(asked.override_id, name))
    assert (await house.in_force(), house.phases, house.told) == ([], [Phase.REQUESTED], ["requested"])


async def test_the_order_that_used_it_is_named_once(house: House) -> None:
    override_id = await house.granted()
    (override,) = await house.in_force()
    assert await house.gate.use_override(override_id)
    record = a_record(override)
    await house.desk.see([record, record])
    await house.desk.see([record, a_record(override, decision_id="d2")])
    what, by, detail = house.events[-1]
    assert (what, by, detail["decision"], detail["ticket"]) == ("override.used", "demo-bot", "d1", "RISK-17")
    assert (house.told.count("used"), house.phases, house.restarted().open()) == (1, [], ())
    assert "no override of that id" in await refusal(house.desk.approve(override_id, "Cleo"))


async def test_of_two_orders_at_once_the_one_that_got_it_is_named(house: House) -> None:
    override_id = await house.granted()
    (override,) = await house.in_force()
    assert [await house.gate.use_override(override_id) for _ in range(2)] == [True, False]
    await house.desk.see([a_record(override, decision_id="late", refused=_used(override_id))])
    assert house.told == ["requested", "approved"]
    await house.desk.see([a_record(override, decision_id="first")])
    assert house.events[-1][2]["decision"] == "first"


async def test_of_two_overrides_the_one_that_was_taken_is_used_though_the_order_was_not_sent(house: House) -> None:
    first, second = await house.granted(), await house.granted()
    by_id = {each.override_id: each for each in await house.in_force()}
    await house.desk.see([a_record(by_id[first], by_id[second], refused=_used(second))])
    assert [state.override_id for state in house.desk.open()] == [second]
    not_sent = Breach(rule_id="hold", code="NOT_RESERVED", message="x")
    await house.desk.see([a_record(by_id[second], refused=not_sent)])
    assert house.phases == []


@pytest.mark.parametrize(
    "changes",
    [{"kind": "outcome"}, {"decisions": 5}, {"decisions": [{}]}, {"withheld": None}, {"withheld": {"0": {}}}],
    ids=str,
)
async def test_nothing_else_is_a_use(house: House, changes: dict[str, Any]) -> None:
    await house.granted()
    (override,) = await house.in_force()
    await house.desk.see([a_record(override, **changes), {}, a_record()])
    assert house.told == ["requested", "approved"]


async def test_a_request_is_used_by_nothing(house: House) -> None:
    asked = await house.desk.request(terms(), ANN)
    override = replace(await _some_override(house), override_id=asked.override_id)
    await house.desk.see([a_record(override)])
    assert Phase.REQUESTED in house.phases


async def _some_override(house: House) -> Override:
    await house.granted()
    return (await house.in_force())[0]


# What may be asked for


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bot": "nobody"}, "there is no bot of that name"),
        ({"symbol": "XRPUSDT"}, "no such symbol"),
        ({"rule_id": "position_limit"}, "the policy in force has no rule of that name"),
        ({"rule_id": "nothing"}, "the policy in force has no rule of that name"),
        ({"rule_id": "own_share"}, "own_share cannot be overridden"),
        ({"rule_id": "exit_collar"}, "exit_collar cannot be overridden"),
        ({"rule_id": "trading_state"}, "trading_state cannot be overridden"),
    ],
)
async def test_what_is_not_there_or_never_overridden_is_not_asked_for(
    house: House, changes: dict[str, Any], reason: str
) -> None:
    assert reason in await refusal(house.desk.request(terms(**changes), ANN))
    assert (house.desk.open(), house.events) == ((), [])


async def test_every_reason_is_given_at_once(house: House) -> None:
    told = await refusal(house.desk.request(terms(bot="nobody", rule_id="nothing"), ANN))
    assert told == "there is no bot of that name; the policy in force has no rule of that name"


def test_gates_ownership_and_the_exit_collar_are_never_overridden() -> None:
    assert {"trading_state", "data_freshness", "client_order_id", "unresolved_order"} < NEVER_OVERRIDDEN
    assert {OwnShare.rule_id, ExitCollar.rule_id} < NEVER_OVERRIDDEN
    assert len(NEVER_OVERRIDDEN) == 6


async def test_so_many_may_wait_and_so_many_be_in_force(house: House) -> None:
    waiting = [(await house.desk.request(terms(), ANN)).override_id for _ in range(PENDING_MAX)]
    assert "64 requests wait" in await refusal(house.desk.request(terms(), ANN))
    assert len(set(waiting)) == PENDING_MAX == GRANTED_MAX == 64
    for override_id in waiting:
        await house.desk.approve(override_id, BEN)
    one_more = await house.desk.request(terms(), ANN)
    assert "64 overrides are in force already" in await refusal(house.desk.approve(one_more.override_id, BEN))
    assert len(await house.in_force()) == GRANTED_MAX
    await house.desk.withdraw(waiting[0], BEN)
    await house.desk.approve(one_more.override_id, BEN)


# Back, or over


async def test_anybody_takes_it_back_before_and_after_the_approval(house: House) -> None:
    asked = await house.desk.request(terms(), ANN)
    assert (await house.desk.withdraw(asked.override_id, ANN)).phase is Phase.WITHDRAWN
    await house.desk.withdraw(await house.granted(), "Cleo")
    assert (await house.in_force(), house.desk.open(), house.restarted().open()) == ([], (), ())
    assert house.told == ["requested", "withdrawn", "requested", "approved", "withdrawn"]
    what, by, detail = house.events[-1]
    assert (what, by, detail["why"]) == ("override.withdrawn", "Cleo", "taken back")
    assert "no override of that id" in await refusal(house.desk.withdraw("0123456789", ANN))


async def test_what_an_order_has_used_is_not_taken_back(house: House) -> None:
    override_id = await house.granted()
    assert await house.gate.use_override(override_id)
    assert await refusal(house.desk.withdraw(override_id, ANN)) == "an order has used it"
    assert house.told == ["requested", "approved"]


async def test_a_request_that_nobody_approved_expires(house: House) -> None:
    asked = await house.desk.request(terms(), ANN)
    house.now += PENDING_FOR
    assert "the request has expired" in await refusal(house.desk.approve(asked.override_id, BEN))
    await house.swept_until_told("requested", "expired")
    assert house.restarted().open() == ()


async def test_what_nobody_used_in_time_is_taken_out_of_the_store(house: House) -> None:
    await house.granted()
    house.now += timedelta(minutes=10)
    await house.swept_until_told("requested", "approved", "expired")
    assert (await house.in_force(), house.desk.open()) == ([], ())
    assert house.events[-1][1] == "warden"


async def test_what_is_gone_by_then_was_used_by_an_order_nobody_told_of(house: House) -> None:
    override_id = await house.granted()
    assert await house.gate.use_override(override_id)
    await house.granted(lasts_s=600 + 29)
    house.now += timedelta(minutes=10, seconds=29)
    await house.swept_until_told("expired")  # The other one; the sweep has looked at both.
    assert [state.override_id for state in house.desk.open()] == [override_id]  # Its gate may wait for the venue.
    house.now += timedelta(seconds=1)
    await house.swept_until_told("used")
    assert (house.events[-1][2]["override"], house.events[-1][2]["decision"]) == (override_id, "")


# Restarts, lost stores, full disks


async def test_a_restarted_warden_knows_what_waits_and_what_is_in_force(house: House) -> None:
    waiting = (await house.desk.request(terms(), ANN)).override_id
    granted = await house.granted()
    before = house.desk.open()
    house.restarted()
    await house.desk.take_up()
    assert house.desk.open() == before
    assert [each.override_id for each in await house.in_force()] == [granted]
    await house.desk.approve(waiting, BEN)
    assert len(await house.in_force()) == 2


async def test_what_the_store_lost_is_not_put_there_again(house: House) -> None:
    await house.granted()
    await house.store._redis.flushdb()
    house.restarted()
    await house.desk.take_up()
    assert await house.in_force() == []


async def test_another_store_process_is_not_believed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = await house.desk.request(terms(), ANN)
    await house.granted()

    async def another() -> str:
        return "another"

    monkeypatch.setattr(house.store, "run_id", another)
    await house.desk.take_up()
    assert (await house.in_force(), house.desk.open()) == ([], (waiting,))
    what, by, detail = house.events[-1]
    assert (what, by) == ("override.withdrawn", "warden")
    assert "may not know that it was used" in detail["why"]
    await house.granted()
    await house.desk.take_up()
    assert len(await house.in_force()) == 1


async def test_what_was_not_granted_here_is_taken_out(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await house.granted()
    (known,) = await house.in_force()
    await house.store.grant_override(replace(known, override_id="ffffffffff"))

    async def taken_out() -> bool:
        return await house.in_force() == [known]

    await house.swept(taken_out)
    assert "override ffffffffff was in the store and is not granted here" in caplog.text


async def test_a_store_that_does_not_answer_grants_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = await house.desk.request(terms(), ANN)
    with monkeypatch.context() as broken:
        broken.setattr(house.store, "run_id", gone)
        assert "the request waits as before" in await refusal(house.desk.approve(asked.override_id, BEN))
    assert (house.phases, house.told) == ([Phase.REQUESTED], ["requested"])
    await house.desk.approve(asked.override_id, BEN)


@pytest.fixture
async def other(server: EmbeddedStore, house: House) -> AsyncIterator[WardenStore]:
    """The store of another guard, whose the desk is not yet; the house is of a guard of its own."""
    await house.store.aclose()
    house.store = WardenStore(server.url, house.data_dir.name, "0a" * 16)
    house.restarted()
    other = WardenStore(server.url, house.data_dir.name, "0b" * 16)
    yield other
    await other.aclose()


TAKEN = "this desk of the store is another guard's, at another data directory"


async def test_on_another_guards_desk_nothing_is_granted_and_the_request_waits(
    house: House, other: WardenStore
) -> None:
    asked = await house.desk.request(terms(), ANN)
    await other.claim("there:/data")
    assert await refusal(house.desk.approve(asked.override_id, BEN)) == f"{TAKEN}; the request waits as before"
    assert (house.told, house.phases, await house.in_force()) == (["requested"], [Phase.REQUESTED], [])


async def test_a_desk_that_is_taken_at_the_grant_is_said_to_be_so(
    house: House, other: WardenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await house.desk.request(terms(), ANN)
    run_id = house.store.run_id

    async def while_it_is_taken() -> str:
        await other.claim("there:/data")
        return await run_id()

    monkeypatch.setattr(house.store, "run_id", while_it_is_taken)
    why = f"when it was to be put in force, {TAKEN}"
    assert await refusal(house.desk.approve(asked.override_id, BEN)) == f"{why}; it is withdrawn, ask for another"
    assert house.told == ["requested", "approved", "withdrawn"]
    assert (house.events[-1][2]["why"], await house.in_force()) == (why, [])


async def test_on_another_guards_desk_nothing_is_taken_back(house: House, other: WardenStore) -> None:
    override_id = await house.granted()
    await other.claim("there:/data")
    why = "should the desk come back, it may be in force until it expires"
    assert await refusal(house.desk.withdraw(override_id, ANN)) == f"{TAKEN}; {why}"
    assert house.phases == [Phase.GRANTED]


async def test_a_grant_without_an_answer_ends_and_is_taken_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = await house.desk.request(terms(), ANN)
    grant = house.store.grant_override

    async def heard_and_silent(override: Override) -> None:
        await grant(override)
        raise StoreGone

    with monkeypatch.context() as broken:
        broken.setattr(house.store, "grant_override", heard_and_silent)
        assert "ask for another" in await refusal(house.desk.approve(asked.override_id, BEN))
    assert house.told == ["requested", "approved", "withdrawn"]
    assert house.desk.open() == ()
    await house.desk.take_up()
    assert await house.in_force() == []


async def test_a_store_that_does_not_answer_takes_nothing_back_and_expires_requests_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    override_id = await house.granted()
    await house.desk.request(terms(), ANN)
    monkeypatch.setattr(house.store, "withdraw_override", gone)
    assert "it may be in force until it expires" in await refusal(house.desk.withdraw(override_id, ANN))
    house.now += timedelta(hours=1)

    async def said() -> bool:
        return "cannot be compared" in caplog.text

    with caplog.at_level(logging.WARNING):
        await house.swept(said)
    assert house.phases == [Phase.GRANTED]


async def test_a_disk_that_does_not_write_grants_nothing(house: House) -> None:
    asked = await house.desk.request(terms(), ANN)
    directory = house.data_dir / "overrides"
    directory.rename(house.data_dir / "elsewhere")
    directory.write_text("in the way")
    assert await refusal(house.desk.approve(asked.override_id, BEN)) == "the disk does not take it"
    assert await refusal(house.desk.request(terms(), ANN)) == "the disk does not take it"
    assert (await house.in_force(), house.phases, house.told) == ([], [Phase.REQUESTED], ["requested"])
    await house.desk.withdraw(asked.override_id, ANN)
    assert house.told[-1] == "withdrawn"


async def test_a_damaged_file_costs_that_override_alone(house: House, caplog: pytest.LogCaptureFixture) -> None:
    override_id, other = await house.granted(), await house.granted()
    (house.data_dir / "overrides" / override_id).write_bytes(b"{")
    house.restarted()
    await house.desk.take_up()
    assert [each.override_id for each in await house.in_force()] == [other]
    assert f"the file of override {override_id} cannot be read; it is void" in caplog.text


async def test_people_at_once_put_one_in_force_once(house: House) -> None:
    asked = await house.desk.request(terms(), ANN)
    answers = await asyncio.gather(
        *(house.desk.approve(asked.override_id, name) for name in (BEN, "Cleo", "Dan")), return_exceptions=True
    )
    assert sum(not isinstance(each, Exception) for each in answers) == 1
    assert (house.told.count("approved"), len(await house.in_force())) == (1, 1)
