"""F02 to F28 over real sockets: the practice exchange plays what went wrong, and the kill ends flat or says why not.

Every scene takes six real seconds of calm; so all are played side by side, once, and each test looks at its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.exchange.troubles import VenueTrouble
from proxy.exchange.venue_account import VenueAccount
from proxy.kill.hands import VenueHands
from proxy.kill.report import AccountReport
from proxy.store.fence import Scope
from proxy.vault.keys import Secret
from rules.kill.events import Cause, Phase
from rules.kill.settings import FLATTEN_DEFAULT, Flatten
from tests.proxy.kill.practice_exchange import SECRET, PracticeExchange, api_key, practice_exchange
from tests.support.kills import kill

AT_ONCE = 4
"""Few cores: the calm seconds overlap, the start-ups need not."""


@dataclass(slots=True, kw_only=True)
class Scene:
    """What came of one scene: the report, whether the venue is flat, and the kill's own orders as they arrived."""

    report: AccountReport
    flat: bool
    orders: list[dict[str, Any]] = field(default_factory=list)


def counted(call: Callable[..., Awaitable[Any]], name: str, calls: Counter[str]) -> Callable[..., Awaitable[Any]]:
    """The call, counted under its name."""

    def counting(*args: Any) -> Awaitable[Any]:
        calls[name] += 1
        return call(*args)

    return counting


class Stage:
    """Where scenes are played: one practice exchange each, started side by side."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._starting = asyncio.Semaphore(AT_ONCE)

    @contextlib.asynccontextmanager
    async def exchange(self, *options: str) -> AsyncIterator[PracticeExchange]:
        async with self._starting:
            stack = contextlib.AsyncExitStack()
            exchange = await stack.enter_async_context(practice_exchange(options=options))
        async with stack:
            yield exchange

    async def press(
        self, exchange: PracticeExchange, account: VenueAccount, *, flatten: Flatten = FLATTEN_DEFAULT
    ) -> Scene:
        hands = VenueHands(account)
        data_dir = self._directory / str(id(account))
        try:
            report = await kill(data_dir, Scope("main"), [hands], "ann", "row", flatten=flatten)
        finally:
            await hands.aclose()
        log = (await exchange.control("GET", "log"))["entries"]
        placed = [row for row in log if row["method"] == "POST"]
        ours = [row for row in placed if row["params"].get("newClientOrderId", "").startswith("pgk-")]
        return Scene(report=report.accounts[0], flat=await exchange.flat(), orders=ours)


async def enter(exchange: PracticeExchange, *orders: tuple[str, str, str], **more: str) -> None:
    account = exchange.hands()
    try:
        for symbol, side, quantity in orders:
            order = {"symbol": symbol, "side": side, "type": "MARKET", "quantity": quantity, **more}
            with contextlib.suppress(VenueTrouble):
                await account.calls.once(account.calls.client.fapiPrivatePostOrder, order)
    finally:
        await account.aclose()


async def f02(stage: Stage) -> Scene:
    async with stage.exchange() as exchange:
        await exchange.control("POST", "faults", unknown_503=1, unknown_503_execution="late", late_ms=4_000)
        await enter(exchange, ("BTCUSDT", "BUY", "0.2"))
        return await stage.press(exchange, exchange.hands())


async def f03(stage: Stage) -> Scene:
    async with stage.exchange() as exchange:
        await exchange.populate()
        await exchange.control("POST", "faults", drop_reply=3)
        return await stage.press(exchange, exchange.hands())


async def f04(stage: Stage) -> Scene:
    async with stage.exchange() as exchange:
        await exchange.populate()
        await exchange.control("POST", "faults", reject_429=6, retry_after_s=1, scope="all")
        return await stage.press(exchange, exchange.hands())


async def f06(stage: Stage) -> Scene:
    async with stage.exchange() as exchange:
        await exchange.populate()
        await exchange.control("POST", "faults", partial_fills=8, partial_fill_fraction="0.5")
        return await stage.press(exchange, exchange.hands())


async def f08(stage: Stage) -> Scene:
    """A TWAP whose pieces come every three seconds, beside a trailing stop and plain orders."""
    async with stage.exchange("--speed", "20") as exchange:
        await exchange.populate()
        account = exchange.hands()
        client = account.calls.client
        twap = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.5", "duration": "3600"}
        await account.calls.once(client.sapiPostAlgoFuturesNewOrderTwap, twap)
        trailing = {"algoType": "CONDITIONAL", "symbol": "SOLUSDT", "side": "BUY", "type": "TRAILING_STOP_MARKET"}
        await account.calls.once(client.fapiPrivatePostAlgoOrder, {**trailing, "quantity": "1", "callbackRate": "5"})
        await account.aclose()
        scene = await stage.press(exchange, exchange.hands())
        await exchange.control("POST", "step", n=600)
        scene.flat = await exchange.flat()
        return scene


async def f09(stage: Stage) -> Scene:
    async with stage.exchange() as exchange:
        await exchange.populate(hedged=True)
        return await stage.press(exchange, exchange.hands())


async def f13(stage: Stage) -> Scene:
    async with stage.exchange() as exchange:
        await exchange.populate()
        await exchange.control("POST", "faults", empty_book=["BTCUSDT"])

        async def refilled() -> None:
            await asyncio.sleep(6)
            await exchange.control("POST", "faults", empty_book=False)

        refilling = asyncio.create_task(refilled())
        scene = await stage.press(exchange, exchange.hands(), flatten=Flatten(ladder_s=2))
        await refilling
        return scene


def f27(offset_ms: int) -> Callable[[Stage], Awaitable[Scene]]:
    async def scene(stage: Stage) -> Scene:
        async with stage.exchange() as exchange:
            await exchange.populate()
            account = exchange.hands()
            account.adjust_clock(offset_ms)
            return await stage.press(exchange, account)

    return scene


def f28(broken: str) -> Callable[[Stage], Awaitable[Scene]]:
    """The first address is broken, the second is the venue."""

    async def scene(stage: Stage) -> Scene:
        async with stage.exchange() as exchange, broken_address(broken) as address:
            await exchange.populate()
            account = VenueAccount(
                name="main",
                venue="binanceusdm",
                api_key=api_key("main"),
                secret=Secret(SECRET),
                base_url=address,
                spot_url=exchange.base_url,
                other_urls=(exchange.base_url,),
                timeout=1.0,
            )
            return await stage.press(exchange, account)

    return scene


async def slow(stage: Stage) -> Scene:
    """It answers everything, each time later than what only makes a close better is waited for."""
    async with stage.exchange() as exchange:
        await exchange.populate()
        await exchange.control("POST", "faults", latency_ms=1_100)
        scene = await stage.press(exchange, exchange.hands())
        await exchange.control("DELETE", "faults")
        return scene


@contextlib.asynccontextmanager
async def broken_address(kind: str) -> AsyncIterator[str]:
    """An address that refuses connections, swallows what it is sent, or resets every connection."""
    held: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == "reset":
            no_linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
            writer.transport.abort()
        else:
            held.append(writer)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    if kind == "refused":
        server.close()
    try:
        yield url
    finally:
        server.close()
        for writer in held:
            writer.close()


SCENES: dict[str, Callable[[Stage], Awaitable[Scene]]] = {
    "f02": f02,
    "f03": f03,
    "f04": f04,
    "f06": f06,
    "f08": f08,
    "f09": f09,
    "f13": f13,
    "f27 ahead": f27(5_000),
    "f27 behind": f27(-5_000),
    "f27 far behind": f27(-30_000),
    "f28 refused": f28("refused"),
    "f28 black hole": f28("black hole"),
    "f28 reset": f28("reset"),
    "slow": slow,
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scene]]:
    async def play() -> dict[str, Scene]:
        stage = Stage(tmp_path_factory.mktemp("rows"))
        scenes = await asyncio.gather(*(scene(stage) for scene in SCENES.values()))
        return dict(zip(SCENES, scenes, strict=True))

    yield asyncio.run(play())


def check_flat(scene: Scene) -> None:
    assert scene.report.phase is Phase.FLAT and scene.flat, scene.report
    assert len(scene.report.read_backs) == 3
    for order in scene.orders:
        sent = order["params"]
        reduces = sent.get("reduceOnly") == "true" or sent.get("positionSide") in ("LONG", "SHORT")
        assert reduces, sent
    names = [order["params"]["newClientOrderId"] for order in scene.orders]
    assert len(names) == len(set(names)), "an order was sent twice"


def test_f02_an_entry_that_executes_four_seconds_after_its_error_is_closed(played: dict[str, Scene]):
    check_flat(played["f02"])
    assert [closed.symbol for closed in played["f02"].report.closed] == ["BTCUSDT"]


def test_f03_lost_answers_to_closes_end_flat(played: dict[str, Scene]):
    check_flat(played["f03"])
    lost = [step for step in played["f03"].report.steps if step.what.startswith("could not close")]
    assert len(lost) == 3


def test_f04_a_429_is_waited_out_and_earns_no_ban(played: dict[str, Scene]):
    check_flat(played["f04"])
    assert not any("418" in step.what for step in played["f04"].report.steps)


def test_f06_partial_fills_end_flat(played: dict[str, Scene]):
    check_flat(played["f06"])
    assert len(played["f06"].orders) > 3


def test_f08_a_twap_is_stopped_and_nothing_reopens_after_flat(played: dict[str, Scene]):
    check_flat(played["f08"])
    steps = [step.what for step in played["f08"].report.steps]
    assert "cancelled algo orders of BTCUSDT" in steps
    assert "cancelled conditional orders of SOLUSDT" in steps
    assert played["f08"].report.unlisted == ()


def test_f09_hedged_legs_are_closed_each_by_its_own_side(played: dict[str, Scene]):
    check_flat(played["f09"])
    sides = {(order["params"]["positionSide"], order["params"]["side"]) for order in played["f09"].orders}
    assert sides == {("LONG", "SELL"), ("SHORT", "BUY")}
    assert {closed.quantity for closed in played["f09"].report.closed} == {
        Decimal("0.5"),
        Decimal("-0.2"),
        Decimal(-3),
    }


def test_f13_an_empty_book_is_waited_out_by_the_ladder_and_the_market(played: dict[str, Scene]):
    check_flat(played["f13"])
    kinds = [order["params"]["type"] for order in played["f13"].orders if order["params"]["symbol"] == "BTCUSDT"]
    assert kinds[0] == "LIMIT" and "MARKET" in kinds


@pytest.mark.parametrize("skew", ["ahead", "behind", "far behind"])
def test_f27_a_clock_that_is_off_delays_nothing(played: dict[str, Scene], skew: str):
    check_flat(played[f"f27 {skew}"])
    assert (played[f"f27 {skew}"].report.exposed_ms or 0) < 10_000


@pytest.mark.parametrize("broken", ["refused", "black hole", "reset"])
def test_f28_another_address_is_turned_to_where_one_is_broken(played: dict[str, Scene], broken: str):
    check_flat(played[f"f28 {broken}"])


def test_an_exchange_that_answers_slowly_ends_flat(played: dict[str, Scene]):
    check_flat(played["slow"])


async def test_a_key_that_is_wrong_is_said_and_does_not_use_up_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from proxy.kill import runner

    monkeypatch.setattr(runner, "DEADLINE", runner.DEADLINE / 3)
    async with practice_exchange() as exchange:
        await exchange.populate()
        account = exchange.hands(secret="x" * 64)
        hands, lists = VenueHands(account), Counter[str]()
        for listed in ("fapiPrivateGetOpenOrders", "fapiPrivateGetOpenAlgoOrders", "fapiPrivateV3GetPositionRisk"):
            monkeypatch.setattr(
                account.calls.client, listed, counted(getattr(account.calls.client, listed), listed, lists)
            )
        report = (await kill(tmp_path, Scope("main"), [hands], "ann", "row")).accounts[0]
        await hands.aclose()
    assert (report.phase, report.cause) == (Phase.DEGRADED, Cause.REFUSED)
    assert report.left == ("unknown: the venue could not be read",)
    assert lists["fapiPrivateGetOpenOrders"] <= 3 < 8 <= lists["fapiPrivateV3GetPositionRisk"]


async def test_f28_without_another_address_it_says_that_it_cannot_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from proxy.kill import runner

    monkeypatch.setattr(runner, "DEADLINE", runner.DEADLINE / 30)
    async with broken_address("refused") as address:
        hands = VenueHands(PracticeExchange(address).hands())
        report = (await kill(tmp_path, Scope("main"), [hands], "ann", "row")).accounts[0]
        await hands.aclose()
    assert (report.phase, report.cause) == (Phase.DEGRADED, Cause.UNREACHABLE)
    assert report.left == ("unknown: the venue could not be read",)
    assert "by another way than this machine's" in report.advice
