"""What an exchange key may do at the exchange, and whether the guard takes it. Pure.

The guard refuses withdrawals and transfers to its bots, but whoever steals the key does not ask the guard: only the
exchange can bound what a stolen key is worth. So such a key is taken only when a person accepts that, in so many words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from proxy.vault.errors import VaultError


class Risk(StrEnum):
    """What a person may accept about a key, by the name of the option that accepts it."""

    WITHDRAWALS = "withdrawals"
    NO_IP_RESTRICTION = "no-ip-restriction"

    @property
    def words(self) -> str:
        """The risk, for the person who decides."""
        match self:
            case Risk.WITHDRAWALS:
                return (
                    "this key can withdraw or transfer money: whoever gets hold of it can empty the account, and the "
                    "guard would not be asked"
                )
            case Risk.NO_IP_RESTRICTION:
                return (
                    "this key works from every address: whoever gets hold of it can trade from anywhere, past the "
                    "guard's limits and its kill switch"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPermissions:
    """What the venue says of a key."""

    reading: bool
    futures: bool
    withdrawals: bool
    transfers: bool
    ip_restricted: bool

    @property
    def risks(self) -> tuple[Risk, ...]:
        """What makes the key dangerous in the wrong hands."""
        found = []
        if self.withdrawals or self.transfers:
            found.append(Risk.WITHDRAWALS)
        if not self.ip_restricted:
            found.append(Risk.NO_IP_RESTRICTION)
        return tuple(found)

    @property
    def missing(self) -> tuple[str, ...]:
        """What the guard needs and the key may not do."""
        return tuple(
            name for name, allowed in (("reading", self.reading), ("futures trading", self.futures)) if not allowed
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """How a key came in. ``checked_at`` is ``None`` when the check was skipped; ``accepted`` are the risks taken."""

    checked_at: datetime | None
    accepted: tuple[Risk, ...] = ()


class KeyRefused(VaultError):
    """The key is too dangerous, or of no use; the message says why and what would be right."""


def admit(permissions: KeyPermissions, accepted: tuple[Risk, ...]) -> None:
    """Returns when the guard takes such a key. Raises ``KeyRefused`` with every reason."""
    reasons = [f"this key is not allowed {name}: allow it at the exchange" for name in permissions.missing]
    reasons += [
        f"{risk.words}. Take that right away at the exchange, or accept the risk with --accept-{risk}"
        for risk in permissions.risks
        if risk not in accepted
    ]
    if reasons:
        raise KeyRefused("; ".join(reasons))
