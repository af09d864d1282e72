"""The desk: what is heard goes out at once and is audited after; a channel that fails is an alert on the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.alerts import channel as channel_module
from proxy.alerts import desk as desk_module
from proxy.alerts.alert import Report
from proxy.alerts.desk import LOOK_EVERY_S, AlertDesk
from proxy.alerts.lifecycle import OPEN_MAX, Raised, State
from proxy.alerts.links import PATH
from proxy.alerts.post import Post, Wish
from proxy.alerts.reports import condition
from proxy.alerts.sending import ChannelFailed
from proxy.alerts.shelf import Shelf
from proxy.alerts.wording import Message
from proxy.quiet_hours import QuietHours
from proxy.severity import Severity
from proxy.vault.channels import AlertChannel, new_channel
from proxy.vault.keys import Secret
from tests.support.waiting import until

NIGHT = datetime(2026, 11, 27, 23, tzinfo=UTC)
SECRET = Secret("s" * 64)


class Phone:
    """A channel's far end."""

    def __init__(self) -> None:
        self.down = False
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        if self.down:
            raise ChannelFailed("not reached")
        self.messages.append(message)

    def titled(self, part: str) -> list[Message]:
        return [each for each in self.messages if part in each.title]


class Duty:
    """A desk with phones by name, a clock, and what was audited."""

    def __init__(self, data_dir: Path, *names: str, wishes: dict[str, Wish] | None = None, quiet: bool = False) -> None:
        self.phones = {name: Phone() for name in names}
        self.channels: list[AlertChannel] = [
            new_channel(name=name, url=Secret(f"json://{name}/secret"), now=NIGHT) for name in names
        ]
        self.now = NIGHT
        self.seen: list[Report] = []
        self.unsure = False
        self.audit: list[tuple[str, str, dict[str, Any]]] = []
        post = Post(
            desk="demo",
            link="https://guard.test/",
            channels=lambda: self.channels,
            wishes=wishes or {},
            secret=lambda: SECRET,
            done=lambda delivery: self.desk.ended(delivery),
            now=lambda: self.now,
            sender=lambda url: self.phones[url.reveal().split("/")[2]],
        )
        self.desk = AlertDesk(
            shelf=Shelf(data_dir),
            post=post,
            conditions=lambda: self.seen,
            unsure=lambda key: self.unsure,
            quiet_hours=QuietHours(time(22), time(7), UTC) if quiet else None,
            secret=lambda: SECRET,
            record=self._record,
            now=lambda: self.now,
        )

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.audit.append((what, by, detail))

    def audited(self, what: str) -> list[dict[str, Any]]:
        return [detail for name, _, detail in self.audit if name == what]


@asynccontextmanager
async def at_work(duty: Duty) -> AsyncIterator[Duty]:
    task = asyncio.create_task(duty.desk.run())
    try:
        yield duty
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def on_disk(data_dir: Path) -> str:
    path = data_dir / "alerts" / "state.json"
    return path.read_text() if path.exists() else ""


def press(duty: Duty) -> str:
    """A kill is pressed; the alert's id."""
    duty.desk.hear("kill.engaged", "ann", {"scope": "desk", "reason": "runaway"})
    return duty.desk.state.open["stop:desk"].id


async def test_an_event_is_told_to_everybody_with_a_link_and_audited(tmp_path: Path) -> None:
    async with at_work(Duty(tmp_path, "pager", "chat")) as duty:
        alert_id = press(duty)
        await until(lambda: all(phone.messages for phone in duty.phones.values()))
        (message,) = duty.phones["pager"].messages
        assert message.title == "[KILL LEVEL] KILL: desk is being stopped"
        assert "By ann: runaway." in message.body and f"https://guard.test{PATH}" in message.body
        await until(lambda: len(duty.audited("alert.delivered")) == 2)
        (raised,) = duty.audited("alert.raised")
        assert (raised["alert"], raised["severity"], raised["channels"]) == (alert_id, "kill", ["pager", "chat"])
        assert {each["channel"] for each in duty.audited("alert.delivered")} == {"pager", "chat"}
        assert "secret" not in repr(duty.audit)


async def test_the_links_differ_by_channel_and_acknowledge(tmp_path: Path) -> None:
    async with at_work(Duty(tmp_path, "pager", "chat")) as duty:
        alert_id = press(duty)
        await until(lambda: all(phone.messages for phone in duty.phones.values()))
        tokens = [phone.messages[0].body.split(PATH)[1].split("\n")[0] for phone in duty.phones.values()]
        links = [duty.desk.link(token) for token in tokens]
        assert [(link.alert_id, link.channel) for link in links if link is not None] == [
            (alert_id, "pager"),
            (alert_id, "chat"),
        ]
        heard = duty.desk.acknowledge(alert_id, "ben")
        assert heard is not None and heard.acknowledged_by == "ben"
        await until(lambda: duty.phones["chat"].titled("Acknowledged:"))
        await until(lambda: duty.audited("alert.acknowledged"))
        assert duty.desk.acknowledge("no-such", "ben") is None
        assert [by for what, by, _ in duty.audit if what == "alert.acknowledged"] == ["ben"]


async def test_a_channel_that_fails_is_an_alert_on_the_other_and_over_when_it_works_again(tmp_path: Path) -> None:
    async with at_work(Duty(tmp_path, "pager", "chat")) as duty:
        duty.phones["pager"].down = True
        press(duty)
        await until(lambda: duty.phones["chat"].titled("Alerts do not arrive at pager"))
        assert duty.audited("alert.failed")[0]["trouble"] == "not reached"
        assert duty.desk.state.open["channel:pager"].severity is Severity.CRITICAL
        duty.phones["pager"].down = False
        assert await duty.desk.try_channel("pager", "ann") == ""
        duty.now += timedelta(seconds=31)
        await until(lambda: duty.desk.state.open["channel:pager"].absent_since)
        duty.now += timedelta(seconds=31)
        await until(lambda: duty.phones["pager"].titled("Over: Alerts do not arrive at pager"))


async def test_all_channels_down_is_no_loop(tmp_path: Path) -> None:
    async with at_work(Duty(tmp_path, "pager", "chat")) as duty:
        for phone in duty.phones.values():
            phone.down = True
        press(duty)
        await until(lambda: {"channel:pager", "channel:chat"} <= duty.desk.state.open.keys())
        await asyncio.sleep(2.5)
        assert len(duty.audited("alert.raised")) == 3, "the kill, and each channel once"
        assert len(duty.audited("alert.failed")) <= 6


async def test_what_no_channel_took_is_told_when_the_way_out_is_back_for_as_long_as_it_is_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "LOST_AGAIN_S", 1.0)
    async with at_work(Duty(tmp_path, "pager", "chat")) as duty:
        for phone in duty.phones.values():
            phone.down = True
        duty.seen = [condition("store"), condition("archive", why="x")]
        duty.desk.hear("kill.exchange_key", "warden", {"account": "main", "key": "left on"})
        heard = duty.desk.state.open["kill.exchange_key:main"].id
        await until(lambda: len(duty.audited("alert.failed")) == 8)
        duty.desk.acknowledge(heard, "ann")
        duty.seen = [condition("store")]
        duty.now += timedelta(seconds=1)
        await until(lambda: duty.desk.state.open["archive"].absent_since)
        duty.now += timedelta(seconds=31)
        await until(lambda: "archive" not in duty.desk.state.open)
        for phone in duty.phones.values():
            phone.down = False
        await until(lambda: all(phone.titled("] The store does not answer") for phone in duty.phones.values()))
        await asyncio.sleep(0.2)
        for phone in duty.phones.values():
            assert not phone.titled("] The audit cannot be written") and not phone.titled("exchange key of main")
        assert duty.phones["pager"].titled("Alerts do not arrive at chat"), "the other channel's failure was lost too"


async def test_of_a_channel_that_nothing_was_given_since_the_start_nobody_says_that_it_is_well(tmp_path: Path) -> None:
    first = Duty(tmp_path, "pager", "chat")
    first.phones["pager"].down = True
    async with at_work(first):
        press(first)
        await until(lambda: '"channel:pager"' in on_disk(tmp_path))
    second = Duty(tmp_path, "pager", "chat")
    async with at_work(second):
        second.now += timedelta(seconds=1)
        await asyncio.sleep(2 * LOOK_EVERY_S)
        second.now += timedelta(seconds=31)
        await asyncio.sleep(2 * LOOK_EVERY_S)
        assert second.desk.state.open["channel:pager"].absent_since is None
        assert await second.desk.try_channel("pager", "ann") == ""
        await until(lambda: second.desk.state.open["channel:pager"].absent_since)


async def test_while_nobody_can_tell_nothing_is_over(tmp_path: Path) -> None:
    async with at_work(Duty(tmp_path, "pager")) as duty:
        duty.seen = [condition("store")]
        await until(lambda: "store" in duty.desk.state.open)
        duty.seen, duty.unsure = [], True
        await asyncio.sleep(2 * LOOK_EVERY_S)
        assert duty.desk.state.open["store"].absent_since is None
        duty.unsure = False
        await until(lambda: duty.desk.state.open["store"].absent_since)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
    ],
    ids=["a full disk", "no thread"],
)
async def test_a_disk_that_was_full_for_a_moment_gets_the_alerts_when_it_is_not(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: Exception,
    said: str,
) -> None:
    monkeypatch.setattr(desk_module, "KEEP_AGAIN_S", 0.1)
    real, full = asyncio.to_thread, [True]

    async def to_thread(*work: Any) -> Any:
        if full[0]:
            raise trouble
        return await real(*work)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    async with at_work(Duty(tmp_path, "pager")) as duty:
        alert_id = press(duty)
        await until(lambda: duty.phones["pager"].titled("not known or not kept"))
        assert f"the alerts are not on disk: {said}" in caplog.text and on_disk(tmp_path) == ""
        full[0] = False
        await until(lambda: alert_id in on_disk(tmp_path))
        await until(lambda: duty.desk.state.open["memory"].absent_since is not None)


async def test_the_desk_does_not_hear_itself(tmp_path: Path) -> None:
    duty = Duty(tmp_path, "pager")
    duty.desk.hear("alert.failed", "warden", {"alert": "1"})
    assert duty.desk.state == State()


async def test_quiet_hours_hold_back_what_is_not_a_kill_and_end_in_a_digest(tmp_path: Path) -> None:
    wishes = {"siren": Wish(Severity.WARNING, quiet_hours=False)}
    async with at_work(Duty(tmp_path, "pager", "siren", wishes=wishes, quiet=True)) as duty:
        duty.seen = [condition("store")]
        await until(lambda: duty.phones["siren"].titled("The store does not answer"))
        press(duty)
        await until(lambda: duty.phones["pager"].messages)
        assert [each.title for each in duty.phones["pager"].messages] == ["[KILL LEVEL] KILL: desk is being stopped"]
        duty.now = NIGHT + timedelta(hours=8)
        await until(lambda: duty.phones["pager"].titled("In quiet hours: 1 notices"))
        assert "The store does not answer" in duty.phones["pager"].titled("In quiet hours")[0].body
        assert not duty.phones["siren"].titled("In quiet hours")


async def test_a_channel_gets_what_is_bad_enough_for_it(tmp_path: Path) -> None:
    wishes = {"pager": Wish(Severity.KILL), "chat": Wish(Severity.INFO)}
    async with at_work(Duty(tmp_path, "pager", "chat", wishes=wishes)) as duty:
        duty.desk.hear("start", "warden", {})
        duty.desk.hear("protection.lost", "warden", {"account": "main", "symbol": "BTCUSDT"})
        press(duty)
        await until(lambda: len(duty.phones["chat"].messages) == 3)
        await until(lambda: duty.phones["pager"].messages)
        assert [each.severity for each in duty.phones["pager"].messages] == [Severity.KILL]


async def test_a_channel_that_is_added_or_removed_counts_at_once(tmp_path: Path) -> None:
    async with at_work(Duty(tmp_path, "pager", "chat")) as duty:
        duty.channels = duty.channels[:1]
        await until(lambda: len(duty.desk.post.states()) == 1)
        press(duty)
        await until(lambda: duty.phones["pager"].messages)
        assert not duty.phones["chat"].messages
        assert await duty.desk.try_channel("chat", "ann") is None


async def test_a_warden_that_starts_anew_remembers_and_does_not_tell_again(tmp_path: Path) -> None:
    first = Duty(tmp_path, "pager")
    async with at_work(first):
        press(first)
        first.seen = [condition("stopped", scope="desk"), condition("store")]
        await until(lambda: len(first.phones["pager"].messages) == 2)
        first.desk.acknowledge(first.desk.state.open["stop:desk"].id, "ann")
        await until(lambda: first.phones["pager"].titled("Acknowledged"))
        await until(lambda: '"acknowledged_by":"ann"' in on_disk(tmp_path))
    second = Duty(tmp_path, "pager")
    second.seen = first.seen
    async with at_work(second):
        await asyncio.sleep(1.2)
        assert second.phones["pager"].messages == []
        assert second.desk.state.open["stop:desk"].acknowledged_by == "ann"


async def test_more_conditions_than_there_is_room_for_are_told_once_and_not_with_every_look(tmp_path: Path) -> None:
    duty = Duty(tmp_path, "pager")
    duty.seen = [condition("anomaly", level=f"bot:b{number}", score="0.90", why="x") for number in range(OPEN_MAX + 9)]
    async with at_work(duty):
        await until(lambda: duty.desk.state.open)
        await asyncio.sleep(3 * LOOK_EVERY_S)
        await until(lambda: len(duty.audited("alert.raised")) == OPEN_MAX + 1)
        assert duty.audited("alert.raised")[-1]["title"] == "There is no room for 9 more conditions"


async def test_a_damaged_memory_is_said_and_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "state.json").write_text('{"open": 7}')
    async with at_work(Duty(tmp_path, "pager")) as duty:
        await until(lambda: duty.phones["pager"].titled("The alerts of before are not known"))
        await until(lambda: '"memory"' in on_disk(tmp_path))
    assert "is damaged" in caplog.text
    assert "memory" in Shelf(tmp_path).read().open


async def test_an_audit_that_hangs_keeps_no_alert_back(tmp_path: Path) -> None:
    duty = Duty(tmp_path, "pager")

    async def never(what: str, by: str, detail: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    duty.desk._record = never
    async with at_work(duty):
        press(duty)
        await until(lambda: duty.phones["pager"].messages, 2)
        duty.desk.hear("trigger.kill", "warden", {"account": "main", "ruling": {"trigger": "DAILY_LOSS"}})
        await until(lambda: duty.phones["pager"].titled("A trigger kills main: DAILY_LOSS"), 2)


def test_the_state_survives_its_file(tmp_path: Path) -> None:
    duty = Duty(tmp_path)
    duty.desk._move(Raised(condition("store")))
    press_id = press(duty)
    Shelf(tmp_path).write(duty.desk.state)
    assert Shelf(tmp_path).read() == duty.desk.state and press_id
