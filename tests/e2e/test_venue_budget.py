"""The exchange's budget of requests, counted as Binance counts it: what bots leave is enough to get out and to kill."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

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
