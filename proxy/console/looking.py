"""Looks at the desk that a page with the button rests on: whatever breaks in looking, the page must still come up."""

from __future__ import annotations

import logging

from proxy.console.asking import read
from proxy.console.desk_views import DeskView
from proxy.console.plane import Certificates, ControlPlane
from proxy.console.progress import Progress, progress_of

log = logging.getLogger("perpguard.console")


async def desk_seen(plane: ControlPlane) -> DeskView | None:
    """The desk, ``None`` when it cannot be read. Never raises."""
    try:
        return await read(plane.desk())
    except Exception:  # The edge: see above.
        log.exception("the desk could not be read")
        return None


async def progress_seen(plane: ControlPlane, certificates: Certificates) -> Progress | None:
    """How far the newest kill is, ``None`` when there is none or it cannot be read. Never raises."""
    try:
        return progress_of(await read(plane.kill_progress()), certificates.has_certificate)
    except Exception:  # The edge: see above.
        log.exception("the kill's progress could not be read")
        return None
