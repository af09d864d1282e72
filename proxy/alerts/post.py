"""Which channel is told what: the worst and the loudest to all, the rest as each of them wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from proxy.alerts.alert import Notice, Occasion, Report
from proxy.alerts.channel import DIGEST_ID, Channel, Delivery, Taker
from proxy.alerts.links import PATH, token_of
from proxy.alerts.reports import condition
from proxy.alerts.sending import Sender
from proxy.alerts.wording import Message, digest, message, trial
from proxy.severity import Severity
from proxy.vault.channels import AlertChannel
from proxy.vault.keys import Secret

CHANNELS_EVERY_S: Final = 0.5

_Kept = tuple[str, datetime]
"""A channel by its name and when it was added: one of the same name that is added anew is another."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a channel wants: what is at least this bad; and whether quiet hours hold for it."""

    minimum: Severity = Severity.WARNING
    quiet_hours: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """A channel for people; nothing of its URL but the scheme. ``trouble`` is empty while messages arrive."""

    name: str
    scheme: str
    minimum: Severity
    quiet_hours: bool
    delivered: int
    failed: int
    waiting: int
    last_at: datetime | None
    trouble: str


class Post:
    """The channels of one desk, as the vault has them now. ``link`` is where a browser finds the console."""

    def __init__(
        self,
        *,
        desk: str,
        link: str,
        channels: Callable[[], Sequence[AlertChannel]],
        wishes: Mapping[str, Wish],
        secret: Callable[[], Secret | None],
        done: Callable[[Delivery], None],
        now: Callable[[], datetime],
        sender: Callable[[Secret], Taker] = Sender,
    ) -> None:
        self._desk = desk
        self._link = link.rstrip("/")
        self._kept = channels
        self._wishes = wishes
        self._secret = secret
        self._done = done
        self._now = now
        self._sender = sender
        self._channels: dict[_Kept, Channel] = {}
        self._running: dict[_Kept, asyncio.Task[None]] = {}
        self._follow()

    def tell(self, notice: Notice) -> list[str]:
        """Hand a notice to every channel that is to have it; their names. Nothing is waited for."""
        told = []
        for channel in self._channels.values():
            wording = self._wording(notice, channel.name)
            if wording is not None:
                alert_id = notice.alert.id if notice.alert is not None else DIGEST_ID
                channel.give(alert_id, notice.occasion.value, wording)
                told.append(channel.name)
        return told

    def reports(self) -> list[Report]:
        """Channels that do not take what they are given."""
        return [
            condition("channel", spare=channel.name, channel=channel.name, why=channel.trouble.capitalize())
            for channel in self._channels.values()
            if channel.trouble
        ]

    def unsure(self, key: str) -> bool:
        """Whether the condition of this key is about a channel that took or refused nothing since the start."""
        return any(channel.untried and key == f"channel:{channel.name}" for channel in self._channels.values())

    def unheard(self, alert_ids: Set[str]) -> None:
        """The alerts that are open and not acknowledged: of others nothing that was given up is tried again."""
        for channel in self._channels.values():
            channel.unheard(alert_ids)

    def states(self) -> list[ChannelState]:
        """Every channel, for people."""
        return [
            ChannelState(
                name=channel.name,
                scheme=channel.scheme,
                minimum=self._wish(channel.name).minimum,
                quiet_hours=self._wish(channel.name).quiet_hours,
                delivered=channel.delivered,
                failed=channel.failed,
                waiting=channel.waiting,
                last_at=channel.last_at,
                trouble=channel.trouble,
            )
            for channel in self._channels.values()
        ]

    async def try_channel(self, name: str, by: str, now: datetime) -> str | None:
        """One attempt with a test message; ``None`` when there is no such channel."""
        channel = next((each for each in self._channels.values() if each.name == name), None)
        if channel is None:
            return None
        return await channel.try_now(trial(desk=self._desk, by=by, channel=name, at=f"{now:%Y-%m-%d %H:%M:%S} UTC"))

    async def run(self) -> None:
        """For ever: hand over, and follow the vault, which may have other channels every time."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._follow()
                for kept, channel in self._channels.items():
                    if kept not in self._running:
                        self._running[kept] = tasks.create_task(channel.run())
                for kept in [each for each in self._running if each not in self._channels]:
                    self._running.pop(kept).cancel()
                await asyncio.sleep(CHANNELS_EVERY_S)

    def _follow(self) -> None:
        kept = {(each.name, each.created_at): each for each in self._kept()}
        if kept.keys() != self._channels.keys():
            self._channels = {key: self._channels.get(key) or self._channel(each) for key, each in kept.items()}

    def _channel(self, kept: AlertChannel) -> Channel:
        return Channel(kept.name, kept.scheme, self._sender(kept.url), done=self._done, now=self._now)

    def _wording(self, notice: Notice, name: str) -> Message | None:
        """What a channel is told, ``None`` for nothing."""
        wish = self._wish(name)
        if notice.occasion is Occasion.DIGEST:
            return digest(notice, desk=self._desk, page=self._page, minimum=wish.minimum) if wish.quiet_hours else None
        alert = notice.alert
        if alert is None or notice.severity.rank < wish.minimum.rank or (notice.quiet and wish.quiet_hours):
            return None
        if alert.report.spare == name and notice.occasion is not Occasion.CLEARED:
            return None
        secret, answer = self._secret(), ""
        if secret is not None and not alert.acknowledged_by and notice.severity.rank >= Severity.WARNING.rank:
            answer = self._page(PATH + token_of(secret, alert.id, name, notice.at))
        return message(notice, desk=self._desk, page=self._page, answer=answer)

    def _wish(self, name: str) -> Wish:
        return self._wishes.get(name, Wish())

    def _page(self, path: str) -> str:
        return self._link + path
