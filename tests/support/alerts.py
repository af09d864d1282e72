"""Alerts for the tests of the console: one open, one over, one channel, one good link."""

from __future__ import annotations

from dataclasses import replace

from proxy.alerts.plane import AlertsView, AlertView, ChannelView, TrialView
from proxy.refused import Refused

AT = "2026-11-24T09:30:00Z"


def an_alert(**changed: object) -> AlertView:
    alert = AlertView(
        id="20261124093000-1",
        severity="kill",
        title="KILL: desk is being stopped",
        text="By ann: runaway.",
        advice="Look at Kill.",
        page="/kill",
        what="kill.engaged",
        about="stop:desk",
        raised_at=AT,
        seen_at=AT,
        count=2,
        repeats=1,
        lasting=True,
        acknowledged_by="",
        acknowledged_at=None,
        closed_at=None,
    )
    return replace(alert, **changed)  # type: ignore[arg-type]


class AlertsDouble:
    """The alerts of a test. One link is good."""

    def __init__(self) -> None:
        self.open = [an_alert()]
        self.past = [an_alert(id="20261124080000-0", closed_at=AT)]
        self.channel = ChannelView(
            name="pager",
            scheme="tgram",
            minimum="warning",
            quiet_hours=True,
            delivered=3,
            failed=1,
            waiting=0,
            last_at=AT,
            trouble="",
        )
        self.tested: list[tuple[str, str]] = []

    def alerts(self) -> AlertsView:
        return AlertsView(at=AT, open=self.open, past=self.past, channels=[self.channel], quiet=False, held=0)

    def acknowledge(self, alert_id: str, by: str) -> AlertView:
        if alert_id != self.open[0].id:
            raise Refused("there is no alert of that id")
        if not self.open[0].acknowledged_by:
            self.open[0] = replace(self.open[0], acknowledged_by=by, acknowledged_at=AT)
        return self.open[0]

    async def test(self, channel: str, by: str) -> TrialView:
        if channel != "pager":
            raise Refused("there is no channel of that name")
        self.tested.append((channel, by))
        return TrialView(channel=channel, trouble=self.channel.trouble)

    def linked(self, token: str) -> AlertView | None:
        return self.open[0] if token == "good" else None

    def acknowledge_linked(self, token: str, name: str) -> AlertView | None:
        return self.acknowledge(self.open[0].id, f"{name} (link sent to pager)") if token == "good" else None
