"""Reports of rehearsals: ``drills/ID.json`` in the data directory, the newest kept, on disk before they count."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from proxy.decoding import build
from proxy.disk import make_directory, remove_file, replace_file
from proxy.store.codec import dump, load, plain

log = logging.getLogger("perpguard.drill")

KEPT_MAX: Final = 100
_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}[0-9]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDrill:
    """One account's rehearsal. Times are milliseconds from the press, ``None`` for what was not reached.

    ``blocked_ms``: no bot could enter any more; ``cancelled_ms``: no order was left; ``flat_ms``: no position was;
    ``verified_ms``: three calm readings. ``cost_estimate`` is what closing would cost at the depth that was read,
    ``estimate_in_book`` the fraction of the notional that the depth shows, ``cost`` what it cost, with fees: quote
    currency, empty where it is not known.
    """

    account: str
    phase: str
    positions: int
    orders: int
    blocked_ms: float | None
    cancelled_ms: float | None
    flat_ms: float | None
    verified_ms: float | None
    cost_estimate: str
    estimate_in_book: str
    cost: str
    left: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReport:
    """One rehearsal. ``kind`` is ``practice`` (the practice exchange, with a copy of the book) or ``dry`` (the live
    account, everything but the sends).

    ``rate_per_s`` is what was sent through a gate meanwhile, ``rate_seen_per_s`` the highest the archive holds.
    ``taken`` counts those of the ``sent`` that the exchange took, ``None`` where it was not counted.
    ``arrived_after_blocked`` counts bots' orders that reached the exchange after the first acknowledgement,
    ``not_copied`` what of the book the practice exchange did not take.
    """

    id: str
    kind: str
    at: datetime
    by: str
    phase: str
    passed: bool
    blocked_ms: float | None
    accounts: tuple[AccountDrill, ...]
    rate_per_s: float = 0.0
    rate_seen_per_s: float = 0.0
    sent: int = 0
    taken: int | None = None
    arrived_after_blocked: int = 0
    not_copied: tuple[str, ...] = ()
    trouble: str = ""


def drill_id(at: datetime) -> str:
    """The name of the report of a rehearsal that began at ``at``; names sort by time."""
    return at.strftime("%Y%m%dT%H%M%S%f")


def keep_drill(data_dir: Path, report: DrillReport) -> None:
    """Keep a report, on disk when this returns; the oldest beyond the newest hundred go. Raises ``OSError``."""
    directory = _directory(data_dir)
    make_directory(directory)
    replace_file(directory / f"{report.id}.json", dump(plain(report)))
    for path in _paths(data_dir)[:-KEPT_MAX]:
        remove_file(path)


def drills(data_dir: Path) -> tuple[DrillReport, ...]:
    """Every report that can be read, the newest first."""
    return tuple(_newest_first(data_dir))


def newest_drill(data_dir: Path) -> DrillReport | None:
    """The newest report that can be read."""
    return next(_newest_first(data_dir), None)


def newest_drills(data_dir: Path, accounts: Iterable[str]) -> Mapping[str, DrillReport | None]:
    """For each of these accounts the newest report that names it, passed or not; ``None`` where none does.

    One that failed before any account was come to, as where the press began nothing, is about all of them.
    """
    found: dict[str, DrillReport | None] = dict.fromkeys(accounts)
    lacking = set(found)
    reports = _newest_first(data_dir)
    while lacking and (report := next(reports, None)) is not None:
        came_to_none = not report.accounts and not report.passed
        named = set(lacking) if came_to_none else lacking & {each.account for each in report.accounts}
        found |= dict.fromkeys(named, report)
        lacking -= named
    return found


def drill_of(data_dir: Path, name: str) -> DrillReport | None:
    """The report of that id."""
    return _read(_directory(data_dir) / f"{name}.json") if _ID.fullmatch(name) else None


def _newest_first(data_dir: Path) -> Iterator[DrillReport]:
    """Each is read when it is asked for: the console asks once a second, the newest few name all accounts."""
    found = (_read(path) for path in reversed(_paths(data_dir)))
    return (report for report in found if report is not None)


def _directory(data_dir: Path) -> Path:
    return data_dir / "drills"


def _paths(data_dir: Path) -> list[Path]:
    return sorted(path for path in _directory(data_dir).glob("*.json") if _ID.fullmatch(path.stem))


def _read(path: Path) -> DrillReport | None:
    with suppress(FileNotFoundError):
        try:
            return build(load(path.read_bytes()), DrillReport)
        except (msgspec.DecodeError, msgspec.ValidationError):
            log.warning("the report of a drill cannot be read: %s", path.name)
    return None
