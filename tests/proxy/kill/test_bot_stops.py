"""A bot that a rule stops stays stopped, on every gate and after every restart, until a named person lets it go on."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as StoreGone

from proxy.audit.recording import Subject
from proxy.kill.bot_files import BotStop
from proxy.kill.bot_stops import BotStops, bot_of
from proxy.kill.rearm import RearmRefused
from proxy.store.codec import dump
from proxy.store.embedded import EmbeddedStore
from proxy.store.warden_store import WardenStore
from rules.decision import Enforcement
from rules.engine import decide_batch
from rules.flow.execution_throttle import ExecutionThrottle
from rules.model import TradingState
from tests.rules.builders import a_buy, a_policy, an_account

ACTIVE, REDUCING, HALTED = TradingState
THROTTLE = ExecutionThrottle(executions=1, window_s=60)
REASON = "the loop is repaired"
SUBJECT = Subject(
    decision_id="d1",
    desk="desk",
    bot="grid",
    account="main",
    venue="binanceusdm",
    key_hint="1234",
    route="POST /fapi/v1/order",
)


def a_record(
    decision_id: str = "d1", *, bot: str = "grid", state: TradingState = HALTED, **rule: Any
) -> dict[str, Any]:
    """The record of an order that was one too many, as the warden reads it from the stream."""
    entry = a_buy("BTCUSDT", "1")
    snapshot = an_account().having_tried(entry).snapshot
    decisions = decide_batch([entry], snapshot, a_policy(replace(THROTTLE, **rule)))
    record = replace(SUBJECT, decision_id=decision_id, bot=bot).decision(snapshot, "1", [entry], decisions, withheld={})
    return json.loads(dump(record).replace(b'"stops_bot":"HALTED"', f'"stops_bot":"{state.value}"'.encode()))  # type: ignore[no-any-return]


def of_now(decision_id: str, **of: Any) -> dict[str, Any]:
    """The same, decided at this moment."""
    return a_record(decision_id, **of) | {"at": datetime.now(UTC).isoformat()}


class House:
    """A warden's stops over a real store, and what was written down."""

    def __init__(self, store: WardenStore, data_dir: Path) -> None:
        self.store = store
        self.data_dir = data_dir
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        (data_dir / "kill").mkdir(exist_ok=True)
        self.stops = self.restarted()

    def restarted(self) -> BotStops:
        """What a warden that starts anew would have."""
        self.stops = BotStops(
            data_dir=self.data_dir,
            store=self.store,
            record=self._record,
            traders=lambda: [("grid", "main"), ("other", "main")],
            generation=lambda: 7,
        )
        return self.stops

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.events.append((what, by, detail))

    async def state(self, level: str = "bot:grid") -> str | None:
        return (await self.store.controls()).get(level)

    async def mirrored(self, settled: Callable[[dict[str, str]], bool]) -> None:
        """Let the mirror run until the store's controls are so."""
        mirror = asyncio.create_task(self.stops.mirror())
        try:
            async with asyncio.timeout(10):
                while not settled(await self.store.controls()):
                    await asyncio.sleep(0.01)
        finally:
            mirror.cancel()


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


@pytest.fixture
async def house(server: EmbeddedStore, tmp_path: Path) -> AsyncIterator[House]:
    store = WardenStore(server.url, tmp_path.name)
    yield House(store, tmp_path)
    await store.aclose()


async def test_an_enforced_breach_that_stops_its_bot_does_so_once_and_is_written_down(house: House) -> None:
    await house.stops.see([a_record("d1"), a_record("d2")])
    assert await house.store.controls() == {"bot:grid": "HALTED", "generation": "7"}
    reason = "EXECUTIONS_ABOVE_LIMIT: 1 entries to BUY BTCUSDT within 60 s; the bot is halted"
    assert house.events == [
        (
            "bot.stopped",
            "rule execution_throttle",
            {"scope": "bot:grid", "state": "HALTED", "reason": reason, "decision": "d1"},
        )
    ]
    stop = house.stops.stop_of("grid")
    assert stop is not None
    assert (stop.state, stop.rule, stop.reason) == (HALTED, "execution_throttle", reason)
    assert house.stops.stop_of("other") is None


@pytest.mark.parametrize(
    "record",
    [
        a_record(enforcement=Enforcement.REPORT),
        a_record(executions=2),
        a_record(state=ACTIVE),
        a_record() | {"kind": "outcome"},
        a_record() | {"decisions": 5},
        a_record() | {"decisions": [{}]},
        a_record() | {"decisions": [{"verdict": "DENY"}]},
        a_record() | {"id": None},
        a_record(bot=".."),
        a_record(bot="a/b"),
    ],
    ids=["report", "allowed", "stops nothing", "outcome", "no list", "empty", "half", "no id", "dots", "path"],
)
async def test_nothing_else_stops_anybody(house: House, record: dict[str, Any]) -> None:
    await house.stops.see([record])
    assert (await house.store.controls(), house.events) == ({}, [])


async def test_a_stricter_state_is_never_loosened_and_a_laxer_one_is_made_stricter(house: House) -> None:
    await house.stops.see([a_record("d1", state=REDUCING)])
    assert await house.state() == "REDUCING"
    await house.stops.see([a_record("d2")])
    assert await house.state() == "HALTED"
    await house.stops.see([a_record("d3", state=REDUCING)])
    assert await house.state() == "HALTED"
    assert [detail["decision"] for _, _, detail in house.events] == ["d1", "d2"]
    await house.stops.rearm("grid", "ann", REASON, "bot:grid")
    await house.store.set_state("bot:grid", HALTED, generation=7, kill_running=None)
    await house.stops.see([a_record("d4", state=REDUCING)])
    assert await house.state() == "HALTED"


async def test_a_named_person_lets_that_bot_go_on_and_nothing_else(house: House) -> None:
    await house.stops.see([a_record(), a_record("d2", bot="other")])
    await house.store.set_state("account:main", HALTED, generation=7, kill_running=None)
    assert await house.stops.rearm("grid", "ann", REASON, "bot:grid") == 7
    assert await house.store.controls() == {
        "bot:grid": "ACTIVE",
        "bot:other": "HALTED",
        "account:main": "HALTED",
        "generation": "7",
    }
    assert house.events[-1] == ("rearm", "ann", {"scope": "bot:grid", "reason": REASON, "generation": 7})
    written = json.loads((house.data_dir / "kill" / "rearm.jsonl").read_text())
    assert (written["by"], written["scope"], written["reason"]) == ("ann", "bot:grid", REASON)
    assert (house.stops.stop_of("grid"), house.restarted().stop_of("grid")) == (None, None)


@pytest.mark.parametrize(
    ("name", "reason", "typed", "refusal"),
    [
        ("ann", REASON, "grid", "the name typed is not bot:grid"),
        ("ann", "short", "bot:grid", "shorter than 8"),
        (" ", REASON, "bot:grid", "nobody is named"),
    ],
)
async def test_anything_missing_leaves_it_stopped(
    house: House, name: str, reason: str, typed: str, refusal: str
) -> None:
    await house.stops.see([a_record()])
    with pytest.raises(RearmRefused, match=refusal):
        await house.stops.rearm("grid", name, reason, typed)
    assert await house.state() == "HALTED"
    assert not (house.data_dir / "kill" / "rearm.jsonl").exists()


async def test_a_bot_that_no_rule_stopped_has_nothing_to_be_let_go_on_from(house: House) -> None:
    with pytest.raises(RearmRefused, match="bot:grid stays stopped: no rule has stopped it"):
        await house.stops.rearm("grid", "ann", REASON, "bot:grid")


async def test_a_bot_let_go_on_is_stopped_again_by_a_new_decision_but_not_by_an_old_one(house: House) -> None:
    await house.stops.see([a_record("d1"), a_record("d2")])
    await house.stops.rearm("grid", "ann", REASON, "bot:grid")
    await house.stops.see([a_record("d1"), a_record("d2")])
    assert await house.state() == "ACTIVE"
    await house.stops.see([of_now("d3")])
    assert await house.state() == "HALTED"


async def test_what_is_told_again_after_a_restart_stops_nobody_whom_a_person_let_go_on(house: House) -> None:
    before = [of_now("d1"), of_now("d2", bot="other")]
    await house.stops.see(before)
    await house.stops.rearm("grid", "ann", REASON, "bot:grid")
    await house.restarted().see(before)
    assert (await house.state(), await house.state("bot:other")) == ("ACTIVE", "HALTED")
    await house.stops.see([of_now("d3")])
    assert await house.state() == "HALTED"
    await house.stops.rearm("grid", "ann", REASON, "bot:grid")
    await house.restarted().see([*before, of_now("d3") | {"at": "2026-11-24T09:30:00"}])
    assert await house.state() == "HALTED", "a time of no zone says nothing"


async def test_a_rearm_of_a_clock_that_ran_ahead_hides_nothing(house: House) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=300)).isoformat()
    line = {"at": ahead, "scope": "bot:grid", "by": "ann", "reason": REASON}
    (house.data_dir / "kill" / "rearm.jsonl").write_text(json.dumps(line) + "\n")
    await house.stops.see([of_now("d1")])
    assert await house.state() == "HALTED"


async def test_what_it_sent_before_is_counted_no_more(house: House) -> None:
    keys = house.store._keys
    for bot in ("grid", "other"):
        await house.store._redis.rpush(keys.attempts("main", bot), "1|h|TRIED|[]")  # type: ignore[misc]
    await house.stops.see([a_record()])
    await house.stops.rearm("grid", "ann", REASON, "bot:grid")
    assert not await house.store._redis.exists(keys.attempts("main", "grid"))
    assert await house.store._redis.exists(keys.attempts("main", "other"))


async def test_a_store_that_forgot_is_told_again_after_a_restart_too(house: House) -> None:
    await house.stops.see([a_record(state=REDUCING)])
    await house.store._redis.flushdb()
    house.restarted()
    await house.mirrored(lambda controls: controls.get("bot:grid") == "REDUCING")
    stop = house.stops.stop_of("grid")
    assert stop is not None
    assert stop.rule == "execution_throttle"


async def test_a_stop_found_in_the_store_is_kept_here(house: House) -> None:
    await house.store.set_state("bot:grid", HALTED, generation=7, kill_running=None)
    await house.store.set_state("bot:calm", ACTIVE, generation=7, kill_running=None)
    await house.mirrored(lambda _: house.stops.stop_of("grid") is not None)
    assert house.restarted().stop_of("grid") == BotStop(state=HALTED, rule="", reason="found in the store")
    assert house.stops.stop_of("calm") is None


async def test_a_file_nobody_can_read_halts_its_bot(house: House) -> None:
    await house.stops.see([a_record(state=REDUCING)])
    (house.data_dir / "kill" / "bots" / "grid").write_bytes(b'{"state"')
    (house.data_dir / "kill" / "bots" / "..grid~").write_bytes(b"")
    house.restarted()
    await house.mirrored(lambda controls: controls.get("bot:grid") == "HALTED")
    await house.stops.rearm("grid", "ann", REASON, "bot:grid")
    assert house.restarted().stop_of("grid") is None


async def test_a_file_that_was_lost_is_written_again(house: House) -> None:
    await house.stops.see([a_record()])
    path = house.data_dir / "kill" / "bots" / "grid"
    before = path.read_bytes()
    path.unlink()
    await house.mirrored(lambda _: path.exists())
    assert path.read_bytes() == before


async def test_a_store_that_does_not_answer_is_asked_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: Any, **__: Any) -> None:
        raise StoreGone

    with monkeypatch.context() as broken:
        broken.setattr(house.store, "set_state", gone)
        with pytest.raises(StoreGone):
            await house.stops.see([a_record()])
    assert (house.stops.stop_of("grid"), house.events) == (None, [])
    await house.stops.see([a_record()])
    assert await house.state() == "HALTED"


async def test_a_warden_that_waited_beside_believes_the_files_not_what_it_remembers(house: House) -> None:
    await house.stops.see([a_record()])
    waiting = house.stops
    await house.restarted().rearm("grid", "ann", REASON, "bot:grid")
    house.stops = waiting
    assert waiting.stop_of("grid") is not None
    await house.mirrored(lambda _: waiting.stop_of("grid") is None)
    assert await house.state() == "ACTIVE"


async def test_a_disk_that_does_not_write_stops_the_bot_all_the_same(house: House) -> None:
    (house.data_dir / "kill" / "bots").write_text("in the way")
    await house.stops.see([a_record()])
    assert await house.state() == "HALTED"
    (house.data_dir / "kill" / "bots").unlink()
    await house.mirrored(lambda _: (house.data_dir / "kill" / "bots" / "grid").exists())


async def test_a_word_that_is_no_state_counts_as_halted(house: House) -> None:
    await house.store._redis.hset(house.store._keys.controls, "bot:grid", "UNHEARD")  # type: ignore[misc]
    await house.stops.see([a_record()])
    assert (await house.state(), house.events) == ("UNHEARD", [])
    await house.stops.rearm("grid", "ann", REASON, "bot:grid")
    assert await house.state() == "ACTIVE"


@pytest.mark.parametrize(
    ("scope", "bot"),
    [
        ("bot:grid", "grid"),
        ("bot:a.b_c-1", "a.b_c-1"),
        *((scope, None) for scope in ("bot:", "bot:..", "bot:a/b", "bot:" + "a" * 33)),
        *((scope, None) for scope in ("desk", "account:grid", "bots:grid")),
    ],
)
def test_only_a_bot_s_scope_names_a_bot(scope: str, bot: str | None) -> None:
    assert bot_of(scope) == bot
