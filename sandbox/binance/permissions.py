"""What an API key may do, as its owner set it on the venue's website."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPermissions:
    """The two settings that make a leaked key cheap or dear; the defaults are the safe ones."""

    withdrawals: bool = False
    ip_restricted: bool = True


SAFE_PERMISSIONS = KeyPermissions()
