"""The exchange's budget of requests, counted as Binance counts it: what bots leave is enough to get out and to kill."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.metrics import samples
from tests.support.policies import a_policy, a_rule
from tests.support.practice_client import Bot, fresh_id
from tests.support.worlds import LiveWorld, freeze, until

WEIGHT_LIMIT = 2_400
RESERVED = "VENUE_BUDGET_RESERVED"
READ = ("GET", "/fapi/v1/income")
"""Weighs 30, and asks nothing of the store."""

AT_RED = a_policy(
    a_rule("desk.order_types", types=["LIMIT"]),
    a_rule("desk.message_rate", per_second=0.000001, burst=1),
    a_rule("desk.max_order_value", limit=0.01),
    a_rule("desk.max_order_volume", limit_quantity=0.00001),
    a_rule("desk.price_collar", band=0.0000001),
    a_rule("desk.position_limit", limit_notional=0.01),
    a_rule("desk.max_leverage", limit=0.000001),
    a_rule("desk.exposure_limits", gross_notional=0.01),
    a_rule("desk.correlated_exposure", limit_notional=0.01),
    a_rule("desk.daily_loss", limit=0.01),
    a_rule("desk.reduce_only_exits", mode="require"),
    a_rule("account.demo.protective_stop", within_s=1, distance_max=0.01),
)
"""Rules of every kind, none of which an order of this test could pass if it were asked."""


class MeteredWorld(LiveWorld):
    """An exchange that counts and refuses, and a warden that leaves bots something of the minute."""

    def __init__(self, data_dir: Path, policy: str) -> None:
        super().__init__(data_dir, policy, survey_every_s=5, balance=100_000, weight_limit=WEIGHT_LIMIT)

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PERPGUARD_MARKETS_EVERY_S": "3"}


def is_ours(answer: httpx.Response) -> bool:
    return answer.status_code == 429 and RESERVED in answer.text


def spend(bot: Bot) -> int:
    """Read until the guard refuses; how often the exchange answered, which must never be with a 429 of its own."""
    answered = 0
    while True:
        answer = bot.send(*READ)
        if is_ours(answer):
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            return answered
        assert answer.status_code == 200, answer.text
        answered += 1
        assert answered <= WEIGHT_LIMIT // 30, "nothing was kept"


def open_book(world: LiveWorld) -> str:
    """A long position and an order that the bot knows as its own, by the account's owner; the bot's id of it."""
    resting = fresh_id("rest")
    world.direct.order("BTCUSDT", "BUY", "0.2").raise_for_status()
    world.direct.order("BTCUSDT", "BUY", "0.01", 85_000, newClientOrderId=world.upstream_id(resting)).raise_for_status()
    until(lambda: world.account()["open_orders"] == 1, "the guard knows the book")
    return resting


def cannot_write(pid: int) -> None:
    """The audit's disk as good as full: no file of this process may grow. Its sockets may."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def test_f14_an_exit_and_a_cancel_pass_when_everything_else_refuses(tmp_path: Path) -> None:
    """Every rule at red, the budget at the reserve, the store stopped, the audit's disk full."""
    with MeteredWorld(tmp_path / "data", AT_RED) as world:
        bot, direct = world.bot, world.direct
        resting = open_book(world)
        store = world.process("store")
        freeze(store)
        try:
            (gate,) = world.processes("gate")
            cannot_write(gate)
            assert spend(bot) > 0
            refused = bot.order("BTCUSDT", "BUY", "0.01", 86_000)
            assert refused.status_code >= 400 and "GUARD" in refused.text
            before = direct.positions()["BTCUSDT"]
            sold = bot.order("BTCUSDT", "SELL", "0.05", reduceOnly="true")
            cancelled = bot.send("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId=resting)
        finally:
            os.kill(store, signal.SIGCONT)
        assert (sold.status_code, cancelled.status_code) == (200, 200), (sold.text, cancelled.text)
        assert direct.positions()["BTCUSDT"] == pytest.approx(before - 0.05)
        assert direct.open_orders() == []


@pytest.fixture
def spent(tmp_path: Path) -> Iterator[MeteredWorld]:
    """A world with a book whose bots have spent what they may, early in a minute of the exchange."""
    with MeteredWorld(tmp_path / "data", a_policy(a_rule("desk.max_order_value", limit=50_000))) as world:
        open_book(world)
        until(lambda: time.time() % 60 < 20, "most of the minute is ahead", 60, every_s=0.2)
        assert spend(world.bot) > 0
        yield world


def what_is_left(world: MeteredWorld) -> tuple[object, object]:
    """Positions and open orders as the exchange tells them; asked again once, when it says so."""
    try:
        return world.direct.positions(), world.direct.open_orders()
    except httpx.HTTPStatusError as refused:
        assert refused.response.status_code == 429
        time.sleep(float(refused.response.headers["Retry-After"]) + 1)
        return world.direct.positions(), world.direct.open_orders()


@pytest.mark.full
def test_a_kill_ends_flat_on_what_was_kept_for_it(spent: MeteredWorld) -> None:
    pressed = spent.ask("POST", "/control/kill", {"scope": "desk", "reason": "the reserve is there", "by": "Ada"})
    assert pressed["blocked_ms"] is not None

    def ended() -> dict[str, object] | None:
        progress = spent.ask("GET", "/control/kill")["kill"]
        return progress if progress is not None and not progress["running"] else None

    assert until(ended, "the kill ends", 60, every_s=0.2)["flat"] is True
    # The test asks from the guard's own address: what the kill has used up is not there for it before the next minute.
    assert what_is_left(spent) == ({}, [])
    (journal,) = (spent.data_dir / "kill" / "jobs" / "demo").glob("*.jsonl")
    assert "throttled" not in journal.read_text(), "the exchange had to refuse the kill"


@pytest.mark.full
def test_bots_may_read_again_in_the_exchanges_next_minute(spent: MeteredWorld) -> None:
    answer = spent.bot.send(*READ)
    assert is_ours(answer)
    until(lambda: spent.bot.send(*READ).status_code == 200, "the next minute", 65, every_s=0.5)


HEEDLESS = 3
"""How many of a bot's threads go on whatever they hear. Eleven 429s within a minute are a ban there, the kill's too."""


@pytest.mark.full
def silent_addresses(world: MeteredWorld) -> list[str]:
    """The source addresses that the warden takes for silent."""
    token = (world.data_dir / "metrics.token").read_text().strip()
    url = world.places.console.rstrip("/") + "/metrics"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10, trust_env=False)
    return [labels["whose"] for labels, _ in samples(answer.text).get("venue_silence_seconds", [])]


@pytest.mark.full
def test_f04_a_bot_that_cancels_through_every_429_gets_nobody_banned_and_a_press_ends_flat(tmp_path: Path) -> None:
    """Cancels are not held back for the reserve: such a bot uses it up. What comes after the first 429 stays here, and
    in the next minute, when the kill goes on, its part of that is there."""
    with MeteredWorld(tmp_path / "data", a_policy(a_rule("desk.max_order_value", limit=50_000))) as world:
        (guard_key,) = world.guard_keys
        open_book(world)
        until(lambda: 25 < time.time() % 60 < 35, "the later half of a minute", 60, every_s=0.2)
        spend(world.bot)
        world.door.clear()
        heard: Counter[tuple[int, bool]] = Counter()
        over = threading.Event()

        def cancel_on_and_on(bot: Bot) -> None:
            while not over.is_set():
                answer = bot.send("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId="999999")
                heard[answer.status_code, "GUARD" in answer.text] += 1

        threads = [
            threading.Thread(target=cancel_on_and_on, args=[world.bot_named(guard_key)]) for _ in range(HEEDLESS)
        ]
        for thread in threads:
            thread.start()
        try:
            until(lambda: heard[429, True] > 100, "the guard answers for the exchange", 20)
            kept = world.bot.order("BTCUSDT", "SELL", "0.05", reduceOnly="true")
            assert (kept.status_code, "VENUE_SILENCE" in kept.text) == (429, True)
            until(lambda: silent_addresses(world) == [""], "gate and warden know the usual address by one name", 5)
            pressed = world.ask("POST", "/control/kill", {"scope": "desk", "reason": "it will not stop", "by": "Ada"})
            assert pressed["blocked_ms"] is not None

            def ended() -> dict[str, object] | None:
                progress = world.ask("GET", "/control/kill")["kill"]
                return progress if progress is not None and not progress["running"] else None

            assert until(ended, "the kill ends", 60, every_s=0.2)["flat"] is True
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert heard[418, False] == heard[418, True] == 0
        assert heard[429, False] <= 2 * HEEDLESS, "what was under way when the exchange said it, and no more"
        assert what_is_left(world) == ({}, [])
