"""The alert desk: hears events, sees conditions, moves the state machine, hands notices to the channels, and answers.

It needs neither the store nor the archive to tell anybody: what it says goes out first and is written down after.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from proxy.alerts.alert import Alert, Notice, Occasion, Report
from proxy.alerts.channel import Delivery
from proxy.alerts.lifecycle import Acknowledged, Event, Raised, Seen, State, Ticked, evolve, find
from proxy.alerts.links import Link, read_token
from proxy.alerts.post import Post
from proxy.alerts.reports import condition, report_of
from proxy.alerts.shelf import Shelf, ShelfDamaged
from proxy.quiet_hours import QuietHours
from proxy.record import Record
from proxy.vault.keys import Secret

log = logging.getLogger("perpguard.alerts")

LOOK_EVERY_S: Final = 0.5
KEEP_AGAIN_S: Final = 5.0
"""How long after a disk, or a host without threads, did not take the alerts they are written again."""

TO_WRITE_MAX: Final = 1_000
"""Events about alerts that may wait for the audit."""

OWN: Final = "alert."
"""Events of this name are the desk's own: it does not hear them."""


class AlertDesk:
    """One warden's alerts. ``secret`` signs the links; without one there are none.

    ``unsure`` says of the key of a condition that ``conditions`` does not have whether it may be so all the same.
    """

    def __init__(
        self,
        *,
        shelf: Shelf,
        post: Post,
        conditions: Callable[[], Sequence[Report]],
        unsure: Callable[[str], bool],
        quiet_hours: QuietHours | None,
        secret: Callable[[], Secret | None],
        record: Record,
        now: Callable[[], datetime],
    ) -> None:
        self.post = post
        self._shelf = shelf
        self._conditions = conditions
        self._unsure = unsure
        self._quiet_hours = quiet_hours
        self._secret = secret
        self._record = record
        self._now = now
        self._unkept = ""
        try:
            self.state = shelf.read()
        except ShelfDamaged as trouble:
            log.error("the alerts of before are not known: %s", trouble)
            self.state, self._unkept = State(), str(trouble)
        self._changed = asyncio.Event()
        self._to_write: deque[tuple[str, str, dict[str, Any]]] = deque()
        self._more_to_write = asyncio.Event()

    @property
    def quiet(self) -> bool:
        """Whether it is in quiet hours now."""
        return self._quiet_hours is not None and self._quiet_hours.covers(self._now())

    def hear(self, what: str, by: str, detail: Mapping[str, Any]) -> None:
        """An event of the guard's own. Neither raises nor waits."""
        if what.startswith(OWN):
            return
        report = report_of(what, by, detail)
        if report is not None:
            self._move(Raised(report))

    def ended(self, delivery: Delivery) -> None:
        """What became of a message."""
        what = "alert.failed" if delivery.trouble else "alert.delivered"
        detail = {"alert": delivery.alert_id, "occasion": delivery.occasion, "channel": delivery.channel}
        self._write(what, "warden", detail | {"took_s": delivery.took_s, "trouble": delivery.trouble})

    def acknowledge(self, alert_id: str, by: str) -> Alert | None:
        """Somebody has heard of it: the alert as it is then, ``None`` when there is none of that id."""
        before = find(self.state, alert_id)
        if before is None:
            return None
        self._move(Acknowledged(alert_id, by))
        after = find(self.state, alert_id)
        if after is not None and after.acknowledged_by and not before.acknowledged_by:
            log.warning("alert %s was acknowledged by %s", alert_id, by)
            self._write("alert.acknowledged", by, {"alert": alert_id, "title": after.report.title})
        return after

    def link(self, token: str) -> Link | None:
        """What a link from a message says; ``None`` when it is not ours, or has expired."""
        secret = self._secret()
        return read_token(secret, token, self._now()) if secret is not None else None

    async def try_channel(self, name: str, by: str) -> str | None:
        """Send a test: why it failed, empty when it was taken; ``None`` when there is no such channel."""
        trouble = await self.post.try_channel(name, by, self._now())
        if trouble is not None:
            self._write("alert.tested", by, {"channel": name, "trouble": trouble})
        return trouble

    async def run(self) -> None:
        """For ever: look, tell, keep, write down."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self.post.run())
            loops.create_task(self._look())
            loops.create_task(self._keep())
            loops.create_task(self._write_down())

    async def _look(self) -> None:
        while True:
            reports = (*self._conditions(), *self.post.reports(), *self._own())
            unsure = (key for key in self.state.open if self._unsure(key) or self.post.unsure(key))
            self._move(Seen(reports, frozenset(unsure)))
            self._move(Ticked())
            self.post.unheard({each.id for each in self.state.open.values() if not each.acknowledged_by})
            await asyncio.sleep(LOOK_EVERY_S)

    def _own(self) -> Sequence[Report]:
        return [condition("memory", why=self._unkept)] if self._unkept else []

    def _move(self, event: Event) -> None:
        """One step of the machine. There is no await in it: no other event walks in between."""
        now = self._now()
        before = self.state
        self.state, notices = evolve(before, event, now, quiet=self.quiet)
        for notice in notices:
            self._tell(notice)
        if notices or before.open.keys() != self.state.open.keys() or isinstance(event, Acknowledged):
            self._changed.set()

    def _tell(self, notice: Notice) -> None:
        told = self.post.tell(notice)
        alert = notice.alert
        if alert is None:
            self._write("alert.digest", "warden", {"notices": len(notice.held) + notice.left_out, "channels": told})
            return
        log.log(
            logging.INFO if notice.occasion in (Occasion.CLEARED, Occasion.ACKNOWLEDGED) else logging.WARNING,
            "alert %s %s (%s): %s",
            alert.id,
            notice.occasion.value,
            notice.severity.value,
            alert.report.title,
        )
        if notice.occasion is Occasion.ACKNOWLEDGED:
            return
        detail = {
            "alert": alert.id,
            "key": alert.report.key,
            "what": alert.report.what,
            "severity": notice.severity.value,
            "title": alert.report.title,
            "count": alert.count,
            "quiet": notice.quiet,
            "channels": told,
        }
        self._write(f"alert.{notice.occasion.value}", "warden", detail)

    def _write(self, what: str, by: str, detail: dict[str, Any]) -> None:
        if len(self._to_write) >= TO_WRITE_MAX:
            log.error("the event %s is not in the audit: %d wait already", what, TO_WRITE_MAX)
            return
        self._to_write.append((what, by, detail))
        self._more_to_write.set()

    async def _write_down(self) -> None:
        while True:
            await self._more_to_write.wait()
            self._more_to_write.clear()
            while self._to_write:
                await self._record(*self._to_write.popleft())

    async def _keep(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await asyncio.to_thread(self._shelf.write, self.state)
                self._unkept = ""
                continue
            except OSError as trouble:
                log.error("the alerts are not on disk: %s", trouble.strerror)
                self._unkept = f"The disk does not take them: {trouble.strerror}"
            except RuntimeError as trouble:  # This host gives the guard no more threads.
                log.error("the alerts are not on disk: %s", trouble)
                self._unkept = f"They cannot be written: {trouble}"
            await asyncio.sleep(KEEP_AGAIN_S)
            self._changed.set()
