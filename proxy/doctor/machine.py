"""What the doctor sees on this machine without asking anybody: files, rights, room, and what is stopped."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from proxy.client.token import token_path
from proxy.doctor.finding import Finding, fail, ok, warn
from proxy.doctor.part import looked_through, run_as_owner, unseen
from proxy.drill.rehearsed import Rehearsed, rehearsed, worst_of
from proxy.drill.shelf import newest_drill
from proxy.settings import Settings
from proxy.store.fence import Fence, FenceCorrupt
from proxy.tls.authority import ends_at
from proxy.tls.shelf import TlsShelf
from proxy.vault.opening import vault_path

FREE_BYTES_LEAST: Final = 1 << 30
"""A busy desk's audit and journals of some days."""

DRILL_AGE_MAX: Final = timedelta(days=30)
RENEW_BEFORE: Final = timedelta(days=30)

_FOLDERS: Final = ("kill", "vault", "people", "policy", "tls")
_HARM: Final = "they could drop or lift a stop, or put another file in the place of one that the guard trusts"


def look_at_machine(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Every finding of this machine."""
    directory = settings.data_dir
    try:
        there = stat.S_ISDIR(directory.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        there = False
    except OSError as trouble:
        yield unseen("data directory", trouble)
        return
    if not there:
        yield fail("data directory", f"{directory} is not there", "perpguard init, with the same --data-dir")
        return
    looks: Mapping[str, Callable[[], Iterable[Finding]]] = {
        "rights": lambda: _rights(directory, settings),
        "disk": lambda: [_room(directory)],
        "kill state": lambda: [_stopped(directory)],
        "watchdog": lambda: [_watchdog(settings)],
        "control port": lambda: [_exposure(settings)],
        "certificate of the gates": lambda: _certificate(settings, now),
    }
    for check, look in looks.items():
        yield from looked_through(check, look)


def _rights(directory: Path, settings: Settings) -> Iterator[Finding]:
    denied: list[OSError] = []
    secrets = (
        vault_path(directory),
        directory / "people" / "people.json",
        directory / "tls" / "ca.key",
        TlsShelf(directory).certificate,
        token_path(settings),
    )
    folders = tuple(directory / name for name in _FOLDERS)
    owner = directory.stat().st_uid
    for path in (directory, *folders, *secrets):
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as trouble:
            denied.append(trouble)
            continue
        finding = _right(path, found)
        if path not in folders:
            yield finding
        elif finding.mend and (found.st_uid == os.geteuid() or found.st_uid != owner):
            yield finding  # Whose the whole directory is was said of the directory.
    if denied:
        first = unseen("rights", denied[0])
        more = f"; nor at {len(denied) - 1} more" if len(denied) > 1 else ""
        yield replace(first, said=f"{first.said}{more}", mend=run_as_owner(directory))


def _right(path: Path, found: os.stat_result) -> Finding:
    check, mode = f"rights of {path.name}", stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        said = f"{path} belongs to user {found.st_uid}, not to you (user {os.geteuid()})"
        return fail(check, said, f"run as the guard's own user; where that is you: chown {os.geteuid()} {path}")
    if stat.S_ISREG(found.st_mode) and mode & 0o077:
        return fail(check, f"others may read {path}", f"chmod 600 {path}")
    if stat.S_ISDIR(found.st_mode) and mode & 0o022:
        return fail(check, f"others may write in {path}: {_HARM}", f"chmod go-w {path}")
    if mode & 0o077:
        return ok(check, f"only you can write in {path}")
    return ok(check, f"{path} is yours alone")


def _room(directory: Path) -> Finding:
    disk = os.statvfs(directory)
    if disk.f_flag & os.ST_RDONLY:
        said = "it takes no writes, it is mounted read-only: entries are refused"
        return fail("disk", said, f"look in the system's log for why, then mount the disk of {directory} for writing")
    if disk.f_files and not disk.f_favail:
        return fail("disk", "it takes no new file (no inode is free)", f"remove files from the disk of {directory}")
    free = disk.f_bavail * disk.f_frsize
    if free < FREE_BYTES_LEAST:
        said = f"{free >> 20} MiB are free; when nothing is, entries are refused"
        return warn("disk", said, f"make room on the disk of {directory}")
    return ok("disk", f"{free >> 30} GiB are free")


def _stopped(directory: Path) -> Finding:
    _must_be_readable(directory / "kill" / "epoch")
    fence = Fence(directory)
    try:
        fence.generation()
    except FenceCorrupt as damage:
        return fail("kill state", str(damage), "look for what damaged the disk, then perpguard rearm")
    scopes = fence.scopes()
    if scopes:
        return warn("kill state", f"stopped: {', '.join(sorted(map(str, scopes)))}", "perpguard rearm --status")
    return ok("kill state", "nothing is stopped by a kill")


def _must_be_readable(path: Path) -> None:
    """Raises ``PermissionError``: the fence takes what this user may not read for damage, which it need not be."""
    try:
        with path.open("rb"):
            pass
    except PermissionError:
        raise
    except OSError:
        return  # What that comes to, the fence says.


def look_at_drills(settings: Settings, accounts: Sequence[str], now: datetime) -> Iterator[Finding]:
    """The last rehearsal of the account whose is the worst. Without accounts, as where the vault does not open, the
    last one of any."""
    directory = settings.data_dir
    if not directory.is_dir():
        return  # Said before.
    with suppress(FileNotFoundError):
        os.scandir(directory / "drills").close()  # To a search, what it may not read is a folder without reports.
    worst = worst_of(rehearsed(directory, accounts)) or Rehearsed(account="", newest=newest_drill(directory))
    yield _drill(worst, now)


def _drill(worst: Rehearsed, now: datetime) -> Finding:
    newest, of = worst.newest, f" of {worst.account}" if worst.account else ""
    again = "perpguard drill --by YOUR_NAME"
    if newest is None:
        return warn("drill", f"the kill{of} was never rehearsed here", again)
    age = now - newest.at
    if not newest.passed:
        return fail("drill", f"the last rehearsal{of}, {newest.id}, did not pass", f"perpguard drill show {newest.id}")
    if age > DRILL_AGE_MAX:
        return warn("drill", f"the last rehearsal{of} is {age.days} days old", again)
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
        # As the gates load it. A key under a password is none of theirs, and nobody is to be asked for it here.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password="")
    except PermissionError:
        raise
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
