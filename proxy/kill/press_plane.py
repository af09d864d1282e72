"""What pressing and reducing answer, and how far the newest job is, as the control door shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from proxy.kill.gates import Acknowledged
from proxy.kill.in_flight import InFlight
from proxy.kill.report import AccountReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """Trading is blocked: ``blocked_ms`` after the press no entry could leave any more. The job runs on.

    ``gates`` says who said so, ``in_flight`` what was on the wire. ``trouble`` says that the disk did not take the
    stop: then nobody vouches for the gates, and ``blocked_ms`` is null."""

    scope: str
    blocked_ms: float | None
    generation: int
    latched: bool
    gates: Acknowledged
    in_flight: InFlight
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """Nothing that adds risk comes in. ``reduced`` are the accounts that were not so, nor stopped, before."""

    scope: str
    reduced: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKill(AccountReport):
    """One account's job. ``exchange_key`` is what became of its key at the exchange, where that was asked for."""

    name: str
    exchange_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """The newest job. It is ``running``, and not ``flat``, until what was on the wire at the press is over, also where
    every account has ended flat before. ``flat_ms`` is the last account's, ``null`` while one is not flat.

    ``left_open`` are the scopes, account or bot, whose last kill was an earlier one and did not end flat;
    ``unreadable`` the accounts of whose last kill the journal cannot be read: where there is no other, the rest is
    empty.
    """

    running: bool = False
    scope: str = ""
    by: str = ""
    reason: str = ""
    started_at: str = ""
    blocked_ms: float | None = None
    flat: bool = False
    flat_ms: float | None = None
    accounts: Sequence[AccountKill] = ()
    left_open: Sequence[str] = ()
    unreadable: Sequence[str] = ()


def account_kill(report: AccountReport, exchange_key: str | None) -> AccountKill:
    """A job's report as it is shown."""
    reported = {each.name: getattr(report, each.name) for each in fields(report)}
    return AccountKill(**reported, name=report.account, exchange_key=exchange_key)
