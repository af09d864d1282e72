"""The alert desk as the control door sees it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from proxy.alerts.alert import Alert
from proxy.alerts.desk import AlertDesk
from proxy.alerts.lifecycle import find
from proxy.alerts.plane import AlertsView, AlertView, ChannelView, TrialView
from proxy.alerts.post import ChannelState
from proxy.refused import Refused
from proxy.store.codec import plain

PAST_SHOWN: Final = 100


class AlertsGlance:
    """Implements ``AlertsPlane``."""

    def __init__(self, desk: AlertDesk, now: Callable[[], datetime]) -> None:
        self._desk = desk
        self._now = now

    def alerts(self) -> AlertsView:
        """Everything. Looks at memory alone."""
        state = self._desk.state
        worst_first = sorted(
            state.open.values(), key=lambda each: (bool(each.acknowledged_by), -each.severity.rank, each.raised_at)
        )
        return AlertsView(
            at=plain(self._now()),
            open=[_view(each) for each in worst_first],
            past=[_view(each) for each in reversed(state.past[-PAST_SHOWN:])],
            channels=[_channel(each) for each in self._desk.post.states()],
            quiet=self._desk.quiet,
            held=len(state.held) + state.left_out,
        )

    def acknowledge(self, alert_id: str, by: str) -> AlertView:
        """Somebody has heard of it. Raises ``Refused`` when there is none of that id."""
        alert = self._desk.acknowledge(alert_id, by)
        if alert is None:
            raise Refused("there is no alert of that id")
        return _view(alert)

    async def test(self, channel: str, by: str) -> TrialView:
        """Send a test message. Raises ``Refused`` when there is no such channel."""
        trouble = await self._desk.try_channel(channel, by)
        if trouble is None:
            raise Refused("there is no channel of that name")
        return TrialView(channel=channel, trouble=trouble)

    def linked(self, token: str) -> AlertView | None:
        """The alert that a link is about; ``None`` for a link that is not ours or has expired."""
        link = self._desk.link(token)
        alert = find(self._desk.state, link.alert_id) if link is not None else None
        return _view(alert) if alert is not None else None

    def acknowledge_linked(self, token: str, name: str) -> AlertView | None:
        """The same, acknowledged by whoever followed the link and says to be ``name``."""
        link = self._desk.link(token)
        if link is None:
            return None
        alert = self._desk.acknowledge(link.alert_id, f"{name} (link sent to {link.channel})")
        return _view(alert) if alert is not None else None


def _view(alert: Alert) -> AlertView:
    return AlertView(
        id=alert.id,
        severity=alert.severity.value,
        title=alert.report.title,
        text=alert.report.text,
        advice=alert.report.advice,
        page=alert.report.page,
        what=alert.report.what,
        about=alert.report.key,
        raised_at=plain(alert.raised_at),
        seen_at=plain(alert.seen_at),
        count=alert.count,
        repeats=alert.repeats,
        lasting=alert.lasting,
        acknowledged_by=alert.acknowledged_by,
        acknowledged_at=plain(alert.acknowledged_at),
        closed_at=plain(alert.closed_at),
    )


def _channel(state: ChannelState) -> ChannelView:
    return ChannelView(
        name=state.name,
        scheme=state.scheme,
        minimum=state.minimum.value,
        quiet_hours=state.quiet_hours,
        delivered=state.delivered,
        failed=state.failed,
        waiting=state.waiting,
        last_at=plain(state.last_at),
        trouble=state.trouble,
    )
