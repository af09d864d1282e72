"""How often wrong secrets may be entered, by address and by person. A machine with the right token never waits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

FAILURES_MAX: Final = 8
WINDOW: Final = timedelta(minutes=5)
ADDRESSES_MAX: Final = 1024


def address_key(address: str) -> str:
    """One household holds a whole /64; an address of IPv4 may come mapped, and this machine is nobody's neighbour."""
    parsed = _parsed(address)
    if parsed is None:
        return "unknown"
    if isinstance(parsed, IPv4Address) or parsed.is_loopback:
        return str(parsed)
    return str(IPv6Network((int(parsed), 64), strict=False))


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    parsed = _parsed(address)
    return parsed is not None and parsed.is_loopback


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    mapped = None if isinstance(parsed, IPv4Address) else parsed.ipv4_mapped
    return mapped or parsed


class Attempts:
    """Wrong secrets by client address, or by whatever ``key`` makes of a text, in a bounded table that forgets the
    oldest first."""

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        failures_max: int = FAILURES_MAX,
        key: Callable[[str], str] = address_key,
    ) -> None:
        self._now = now
        self._failures_max = failures_max
        self._key = key
        self._failures: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def exhausted(self, who: str) -> bool:
        """Whether whoever this is has to wait."""
        _, count = self._window(self._key(who))
        return count >= self._failures_max

    def failed(self, who: str) -> None:
        """Count one wrong secret."""
        key = self._key(who)
        began, count = self._window(key)
        self._failures[key] = (began, count + 1)
        self._failures.move_to_end(key)
        while len(self._failures) > ADDRESSES_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, who: str) -> None:
        """Forget the failures."""
        self._failures.pop(self._key(who), None)

    def __len__(self) -> int:
        return len(self._failures)

    def _window(self, key: str) -> tuple[datetime, int]:
        now = self._now()
        began, count = self._failures.get(key, (now, 0))
        # One that began ahead of now was there before the clock was set back: nobody waits for the difference.
        return (began, count) if timedelta() <= now - began < WINDOW else (now, 0)
