"""What the console and the control API may ask about keys, and nothing more. No key is ever whole here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardKeyView:
    """What a bot holds. ``id`` names the key without showing it, ``hint`` is its end; ``state`` is active, disabled or
    rotated; ``signs`` is ``secret``, or ``ed25519`` for a bot with a key pair of its own. Times are RFC 3339."""

    id: str
    bot: str
    account: str
    label: str
    hint: str
    state: str
    signs: str
    created_at: str
    changed_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeKeyView:
    """The real key of an account. ``verdict`` is ``sound``, ``unknown``, or what is wrong with its rights, as the
    exchange last said; ``accepted`` are risks that a person has taken; ``master``: a kill can end with it off."""

    account: str
    venue: str
    hint: str
    created_at: str
    verdict: str
    accepted: Sequence[str]
    master: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysView:
    """Every key in the vault."""

    guard_keys: Sequence[GuardKeyView]
    exchange_keys: Sequence[ExchangeKeyView]


class KeysPlane(Protocol):
    """The keys, as the control door sees them. None raises but ``Refused``."""

    async def keys(self) -> KeysView:
        """All of them."""
        ...

    async def switch(self, key_id: str, *, on: bool, by: str) -> GuardKeyView:
        """Obey a guard key, or refuse it; gates hear within a second. Raises ``Refused``."""
        ...
