"""Looks at the desk that a page with the button rests on: whatever breaks in looking, the page must still come up."""

from __future__ import annotations

import logging
from typing import Final

from proxy.certificate.plane import Certificates
from proxy.console.asking import read
from proxy.console.desk_views import DeskView
from proxy.console.plane import ControlPlane
from proxy.console.progress import UNREADABLE, Progress, progress_of

log = logging.getLogger("perpguard.console")

LOOK_SECONDS_MAX: Final = 3.0
"""A page whose reads hang has to come up, and say so, before a browser gives up and while somebody waits for it."""
PRESSED_SECONDS_MAX: Final = 0.5
"""The answer of a press waits no longer for how far it is: the page asks for that by itself."""


async def desk_seen(plane: ControlPlane) -> DeskView | None:
    """The desk, ``None`` when it cannot be read. Never raises."""
    try:
        return await read(plane.desk(), LOOK_SECONDS_MAX)
    except Exception:  # The edge: see above.
        log.exception("the desk could not be read")
        return None


async def progress_seen(
    plane: ControlPlane, certificates: Certificates, seconds: float = LOOK_SECONDS_MAX
) -> Progress | None:
    """How far the newest kill is, ``None`` when there is none, ``UNREADABLE`` when that cannot be told. Never raises.

    ``None`` says that nothing was ever stopped: a look that failed must not.
    """
    try:
        return progress_of(await read(plane.kill_progress(), seconds), certificates.has_certificate)
    except Exception:  # The edge: see above.
        log.exception("the kill's progress could not be read")
        return UNREADABLE
