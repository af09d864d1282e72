"""What tells a guard from another one that was given the same store and the same desk: ``guard.id`` in its data
directory, made when a guard first runs there. Gates on other machines have none, and work for whoever has the desk.
"""

from __future__ import annotations

import logging
import re
import secrets
from pathlib import Path
from typing import Final

from proxy.disk import replace_file

log = logging.getLogger("perpguard.supervisor")

_ID: Final = re.compile(r"[0-9a-f]{32}")


def guard_id(data_dir: Path) -> str:
    """This guard's, made where there is none; empty where the disk takes none: then no desk is claimed or refused."""
    if known := known_guard_id(data_dir):
        return known
    made = secrets.token_hex(16)
    try:
        replace_file(data_dir / "guard.id", made.encode() + b"\n")
    except OSError as trouble:
        log.error("guard.id cannot be written, so no desk is claimed: %s", trouble.strerror)
        return ""
    return made


def known_guard_id(data_dir: Path) -> str:
    """This guard's, empty where none runs in this data directory."""
    try:
        found = (data_dir / "guard.id").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
    return found if _ID.fullmatch(found) else ""
