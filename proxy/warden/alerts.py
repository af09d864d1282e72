"""Builds the alert desk over a desk's pieces: what it hears, what it sees, and whom it tells."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from proxy.alerts.desk import AlertDesk
from proxy.alerts.post import Post, Wish
from proxy.alerts.shelf import Shelf
from proxy.warden.pieces.desk import DeskPieces
from proxy.warden.pieces.ground import Ground
from proxy.warden.sight import Sight

log = logging.getLogger("perpguard.alerts")


@dataclass(frozen=True, slots=True)
class AlertPieces:
    """The desk, and the warden's eyes."""

    desk: AlertDesk
    sight: Sight

    def loops(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What runs for as long as the warden does, from its first moment: the store may be what is wrong."""
        yield self.desk.run()
        yield self.sight.ask_the_store()
        yield self.sight.look_at_the_disk()


def build_alerts(ground: Ground, desk: DeskPieces) -> AlertPieces:
    """Hear the guard's events from now on; nothing is told before the loops run."""
    settings, vault = ground.settings, ground.vault
    for name in settings.alerts.unknown(channel.name for channel in vault.alert_channels()):
        log.warning("the settings have an alert channel %s that the vault does not have", name)
    sight = Sight(ground, desk)
    post = Post(
        desk=settings.desk,
        link=settings.console_link,
        channels=vault.alert_channels,
        wishes={name: Wish(each.minimum, each.quiet_hours) for name, each in settings.alerts.channels.items()},
        secret=lambda: vault.alert_secret,
        done=lambda delivery: alerts.ended(delivery),
        now=ground.now,
    )
    alerts = AlertDesk(
        shelf=Shelf(settings.data_dir),
        post=post,
        conditions=sight.reports,
        unsure=sight.unsure,
        quiet_hours=settings.alerts.quiet,
        secret=lambda: vault.alert_secret,
        record=ground.scribe.event,
        now=ground.now,
    )
    ground.scribe.told = alerts.hear
    return AlertPieces(alerts, sight)
