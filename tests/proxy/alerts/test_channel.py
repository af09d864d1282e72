"""A channel hands over the worst first, tries again, gives up, and says how it is doing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.alerts import channel as channel_module
from proxy.alerts.channel import ATTEMPTS, QUEUE_MAX, Channel, Delivery
from proxy.alerts.sending import ChannelFailed
from proxy.alerts.wording import Message
from proxy.clock import utc_now
from proxy.severity import Severity
from tests.support.waiting import until


class Taken:
    """A channel's far end. ``fails`` is how many attempts it refuses first."""

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails
        self.titles: list[str] = []
        self.attempts = 0
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, message: Message) -> None:
        self.attempts += 1
        await self.open.wait()
        if self.attempts <= self.fails:
            raise ChannelFailed("it refused")
        self.titles.append(message.title)


def a_message(title: str, severity: Severity = Severity.WARNING) -> Message:
    return Message(severity=severity, title=title, body="")


@asynccontextmanager
async def running(taken: Taken) -> AsyncIterator[tuple[Channel, list[Delivery]]]:
    ended: list[Delivery] = []
    channel = Channel("pager", "json", taken, done=ended.append, now=utc_now, first_pause_s=0.001)
    task = asyncio.create_task(channel.run())
    try:
        yield channel, ended
    finally:
        task.cancel()


async def settled(channel: Channel) -> None:
    while channel.waiting:
        await asyncio.sleep(0.002)


async def test_the_worst_goes_first() -> None:
    taken = Taken()
    taken.open.clear()
    async with running(taken) as (channel, _):
        channel.give("1", "raised", a_message("first"))
        await asyncio.sleep(0.01)
        for title, severity in (("mild", Severity.INFO), ("kill", Severity.KILL), ("bad", Severity.CRITICAL)):
            channel.give("2", "raised", a_message(title, severity))
        taken.open.set()
        await settled(channel)
    assert taken.titles == ["first", "kill", "bad", "mild"]


async def test_it_tries_again_and_then_is_well() -> None:
    taken = Taken(fails=ATTEMPTS - 1)
    async with running(taken) as (channel, ended):
        channel.give("1", "raised", a_message("late"))
        await settled(channel)
        assert (taken.titles, channel.trouble, channel.delivered, channel.failed) == (["late"], "", 1, 0)
        assert [each.trouble for each in ended] == [""]


async def test_it_gives_up_says_so_and_is_well_again_with_the_next_that_arrives() -> None:
    taken = Taken(fails=ATTEMPTS)
    async with running(taken) as (channel, ended):
        channel.give("1", "raised", a_message("lost"))
        await settled(channel)
        assert (taken.attempts, channel.trouble, channel.failed) == (ATTEMPTS, "it refused", 1)
        assert [(each.alert_id, each.trouble) for each in ended] == [("1", "it refused")]
        channel.give("2", "raised", a_message("found"))
        await settled(channel)
        assert channel.trouble == "" and taken.titles == ["found"]


async def test_what_is_too_much_is_given_up_from_the_mildest_and_each_is_said() -> None:
    taken = Taken()
    taken.open.clear()
    async with running(taken) as (channel, ended):
        channel.give("k", "raised", a_message("kill", Severity.KILL))
        for number in range(QUEUE_MAX + 10):
            channel.give(str(number), "raised", a_message(str(number)))
        assert channel.waiting <= QUEUE_MAX
        assert [each.alert_id for each in ended] == [str(number) for number in range(11)]
        taken.open.set()
        await settled(channel)
    assert taken.titles[0] == "kill"


async def test_a_message_that_waits_too_long_is_trouble_before_it_is_given_up() -> None:
    taken = Taken()
    taken.open.clear()
    async with running(taken) as (channel, _):
        channel.give("1", "raised", a_message("slow"))
        loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        assert channel.trouble == ""
        await asyncio.sleep(0)
        later = began + 5.1
        real, loop.time = loop.time, lambda: later  # type: ignore[method-assign]
        try:
            assert "waits for more than 5 s" in channel.trouble
        finally:
            loop.time = real  # type: ignore[method-assign]
        taken.open.set()


async def test_a_test_message_goes_past_the_queue() -> None:
    taken = Taken(fails=1)
    async with running(taken) as (channel, _):
        assert await channel.try_now(a_message("test")) == "it refused"
        assert channel.trouble == "it refused"
        assert await channel.try_now(a_message("test")) == "" and channel.trouble == ""


async def test_what_is_critical_and_was_given_up_is_tried_again_the_worst_first_and_then_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel_module, "LOST_AGAIN_S", 0.02)
    taken = Taken(fails=10_000)
    async with running(taken) as (channel, ended):
        for alert_id, title, severity in (
            ("w", "mild", Severity.WARNING),
            ("c", "bad", Severity.CRITICAL),
            ("k", "kill", Severity.KILL),
            ("c", "bad again", Severity.CRITICAL),
            ("x", "heard", Severity.CRITICAL),
        ):
            channel.give(alert_id, "raised", a_message(title, severity))
        await settled(channel)
        given_up = taken.attempts
        assert given_up == 5 * ATTEMPTS and len(ended) == channel.failed == 5
        channel.unheard({"w", "c", "k"})
        await until(lambda: taken.attempts >= given_up + 3)
        assert len(ended) == channel.failed == 5, "that it was given up is said once"
        assert channel.trouble == "it refused"
        taken.fails = 0
        await until(lambda: len(taken.titles) == 2)
        await asyncio.sleep(0.1)
    assert taken.titles == ["kill", "bad again"], "neither what is mild, nor what is older, nor what somebody has heard"
    assert [(each.alert_id, each.trouble) for each in ended[5:]] == [("k", ""), ("c", "")]
    assert channel.trouble == ""


async def test_what_was_given_up_is_told_when_anything_is_taken_and_not_over_what_is_newer() -> None:
    taken = Taken(fails=2 * ATTEMPTS)
    async with running(taken) as (channel, _):
        for alert_id in ("1", "2"):
            channel.give(alert_id, "raised", a_message(f"lost {alert_id}", Severity.CRITICAL))
        await settled(channel)
        channel.give("2", "cleared", a_message("over 2", Severity.CRITICAL))
        await until(lambda: len(taken.titles) == 2)
        await settled(channel)
    assert taken.titles == ["over 2", "lost 1"]


async def test_a_test_that_is_taken_brings_what_was_given_up() -> None:
    taken = Taken(fails=ATTEMPTS)
    async with running(taken) as (channel, _):
        channel.give("1", "raised", a_message("lost", Severity.KILL))
        await settled(channel)
        assert await channel.try_now(a_message("test")) == ""
        await until(lambda: taken.titles == ["test", "lost"])


async def test_what_is_kept_for_later_is_bounded_and_the_worst_of_it() -> None:
    taken = Taken()
    taken.open.clear()
    async with running(taken) as (channel, _):
        for number in range(3 * QUEUE_MAX):
            channel.give(f"c{number}", "raised", a_message(f"bad {number}", Severity.CRITICAL))
        for number in range(2 * QUEUE_MAX):
            channel.give(f"k{number}", "raised", a_message(f"kill {number}", Severity.KILL))
        assert len(channel._lost) == QUEUE_MAX and channel.waiting <= QUEUE_MAX + 1
        taken.open.set()
        await until(lambda: not channel._lost and not channel.waiting)
    assert {f"kill {number}" for number in range(2 * QUEUE_MAX)} <= set(taken.titles)
