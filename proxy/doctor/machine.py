"""What the doctor sees on this machine without asking anybody: files, rights, room, and what is stopped."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from proxy.control_token import token_path
from proxy.doctor.finding import Finding, fail, ok, warn
from proxy.drill.shelf import newest_drill
from proxy.settings import Settings
from proxy.store.fence import Fence, FenceCorrupt
from proxy.tls.authority import ends_at
from proxy.tls.shelf import TlsShelf

FREE_BYTES_LEAST: Final = 1 << 30
"""A busy desk's audit and journals of some days."""

DRILL_AGE_MAX: Final = timedelta(days=30)
RENEW_BEFORE: Final = timedelta(days=30)


def look_at_machine(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Every finding of this machine."""
    directory = settings.data_dir
    if not directory.is_dir():
        yield fail("data directory", f"{directory} is not there", "perpguard init, with the same --data-dir")
        return
    yield from _rights(directory, settings)
    yield _room(directory)
    yield _stopped(directory)
    yield _drill(directory, now)
    yield _watchdog(settings)
    yield _exposure(settings)
    yield from _certificate(settings, now)


def _rights(directory: Path, settings: Settings) -> Iterator[Finding]:
    secret = (
        directory,
        directory / "vault" / "vault.json",
        directory / "people" / "people.json",
        directory / "tls" / "ca.key",
        TlsShelf(directory).certificate,
        token_path(settings),
    )
    for path in (each for each in secret if each.exists()):
        found = path.stat()
        check = f"rights of {path.name}"
        if found.st_uid != os.geteuid():
            said = f"{path} belongs to user {found.st_uid}, not to you (user {os.geteuid()})"
            yield fail(check, said, f"run as the guard's own user; where that is you: chown {os.geteuid()} {path}")
        elif path.is_file() and stat.S_IMODE(found.st_mode) & 0o077:
            yield fail(check, f"others may read {path}", f"chmod 600 {path}")
        elif path.is_dir() and stat.S_IMODE(found.st_mode) & 0o022:
            yield fail(check, f"others may write in {path}: they could drop or lift a stop", f"chmod go-w {path}")
        else:
            yield ok(check, f"{path} is yours alone")


def _room(directory: Path) -> Finding:
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES_LEAST:
        said = f"{free >> 20} MiB are free; when nothing is, entries are refused"
        return warn("disk", said, f"make room on the disk of {directory}")
    return ok("disk", f"{free >> 30} GiB are free")


def _stopped(directory: Path) -> Finding:
    fence = Fence(directory)
    try:
        fence.generation()
    except FenceCorrupt as damage:
        return fail("kill state", str(damage), "look for what damaged the disk, then perpguard rearm")
    scopes = fence.scopes()
    if scopes:
        return warn("kill state", f"stopped: {', '.join(sorted(map(str, scopes)))}", "perpguard rearm --status")
    return ok("kill state", "nothing is stopped by a kill")


def _drill(directory: Path, now: datetime) -> Finding:
    newest = newest_drill(directory)
    if newest is None:
        return warn("drill", "the kill was never rehearsed here", "perpguard drill --by YOUR_NAME")
    age = now - newest.at
    if not newest.passed:
        return fail("drill", f"the last rehearsal, {newest.id}, did not pass", f"perpguard drill show {newest.id}")
    if age > DRILL_AGE_MAX:
        return warn("drill", f"the last rehearsal is {age.days} days old", "perpguard drill --by YOUR_NAME")
    return ok("drill", f"passed {age.days} days ago")


def _watchdog(settings: Settings) -> Finding:
    if settings.watchdog == "none":
        return warn(
            "watchdog",
            "nobody flattens when the guard itself dies",
            'watchdog = "local" in the settings, or perpguard watchdog on another host',
        )
    return ok("watchdog", f"the settings want one: {settings.watchdog}")


def _exposure(settings: Settings) -> Finding:
    if _is_loopback(settings.control_host) or settings.control_https:
        return ok("control port", f"on {settings.control_host}")
    return warn(
        "control port",
        f"on {settings.control_host} without TLS: passwords and the token can be read on the way",
        "put a TLS proxy before it and set control_https, or bind it to 127.0.0.1",
    )


def _certificate(settings: Settings, now: datetime) -> Iterator[Finding]:
    if settings.gate_https_port is None:
        return
    path = TlsShelf(settings.data_dir).certificate
    try:
        ends = ends_at(path.read_bytes())
    except (OSError, ValueError) as trouble:
        yield fail("certificate of the gates", f"{path}: {trouble}", "perpguard tls init, or renew")
        return
    left = ends - now
    if left < timedelta(0):
        yield fail("certificate of the gates", f"it ended on {ends:%Y-%m-%d}", "perpguard tls renew")
    elif left < RENEW_BEFORE:
        yield warn("certificate of the gates", f"it ends on {ends:%Y-%m-%d}", "perpguard tls renew")
    else:
        yield ok("certificate of the gates", f"good until {ends:%Y-%m-%d}")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
