"""How often an address may enter a wrong token. It slows guessers; a machine with the right token never waits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

FAILURES_MAX: Final = 8
WINDOW: Final = timedelta(minutes=5)
ADDRESSES_MAX: Final = 1024


class Attempts:
    """Wrong tokens by client address, in a bounded table that forgets the oldest address first."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._failures: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def exhausted(self, address: str) -> bool:
        """Whether this address has to wait."""
        _, count = self._window(_key(address))
        return count >= FAILURES_MAX

    def failed(self, address: str) -> None:
        """Count one wrong token."""
        key = _key(address)
        began, count = self._window(key)
        self._failures[key] = (began, count + 1)
        self._failures.move_to_end(key)
        while len(self._failures) > ADDRESSES_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the address's failures."""
        self._failures.pop(_key(address), None)

    def __len__(self) -> int:
        return len(self._failures)

    def _window(self, key: str) -> tuple[datetime, int]:
        now = self._now()
        began, count = self._failures.get(key, (now, 0))
        return (now, 0) if now - began >= WINDOW else (began, count)


def _key(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    # One household holds a whole /64.
    return str(IPv6Network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address
